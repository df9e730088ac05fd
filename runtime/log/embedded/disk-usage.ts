/** Sizes of the topics of an embedded log on disk, whether or not a process has it open. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { TOPICS_FOLDER } from './survey.js';

/** Bytes of every topic of the log in `folder`; files that go meanwhile count as nothing. */
export async function topicSizes(folder: string): Promise<ReadonlyMap<string, number>> {
  const sizes = new Map<string, number>();
  const topics = join(folder, TOPICS_FOLDER);
  for (const entry of await readdir(topics, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const topic = path.slice(topics.length + 1).split('/')[0]!;
    const size = await stat(path).then(
      (found) => found.size,
      () => 0,
    );
    sizes.set(topic, (sizes.get(topic) ?? 0) + size);
  }
  return sizes;
}
