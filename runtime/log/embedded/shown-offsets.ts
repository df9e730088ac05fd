/** Offsets of groups for lag displays: in memory, saved to a small file now and then. Losing some does no harm. */
import { messageOf } from '../../process/errors.js';
import type { Logger } from '../../process/logger.js';
import type { TopicPartition } from '../log.js';
import { type Disk, replaceFile } from './disk.js';
import { SerialQueue } from './queue.js';

const WRITE_INTERVAL_MS = 1000;

export class ShownOffsets {
  readonly #disk: Disk;
  readonly #path: string;
  readonly #logger: Logger;
  readonly #writes = new SerialQueue();
  #groups = new Map<string, Map<string, number>>();
  #timer: NodeJS.Timeout | null = null;

  constructor(disk: Disk, folder: string, logger: Logger) {
    this.#disk = disk;
    this.#path = `${folder}/groups.json`;
    this.#logger = logger;
  }

  /** A damaged file only deserves a log line: the displays fill again by themselves. */
  async load(): Promise<void> {
    const bytes = await this.#disk.readWhole(this.#path);
    if (bytes === null) return;
    try {
      const saved = JSON.parse(bytes.toString()) as Record<string, Record<string, number>>;
      this.#groups = new Map(Object.entries(saved).map(([group, places]) => [group, new Map(Object.entries(places))]));
    } catch (error) {
      this.#logger.warn({ event: 'log_groups_unreadable', path: this.#path }, messageOf(error));
    }
  }

  set(group: string, offsets: readonly (TopicPartition & { offset: number })[]): void {
    let places = this.#groups.get(group);
    if (places === undefined) {
      places = new Map();
      this.#groups.set(group, places);
    }
    for (const { topic, partition, offset } of offsets) places.set(`${topic}/${partition}`, offset);
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      void this.#write();
    }, WRITE_INTERVAL_MS).unref();
  }

  /** -1 where nothing was shown. */
  get(group: string, partitions: readonly TopicPartition[]): number[] {
    const places = this.#groups.get(group);
    return partitions.map(({ topic, partition }) => places?.get(`${topic}/${partition}`) ?? -1);
  }

  forgetTopic(topic: string): void {
    for (const places of this.#groups.values())
      for (const place of [...places.keys()]) if (place.startsWith(`${topic}/`)) places.delete(place);
  }

  async #write(): Promise<void> {
    const content = Object.fromEntries([...this.#groups].map(([group, places]) => [group, Object.fromEntries(places)]));
    try {
      await this.#writes.run(() => replaceFile(this.#disk, this.#path, Buffer.from(JSON.stringify(content)), false));
    } catch (error) {
      this.#logger.warn({ event: 'log_groups_not_saved', path: this.#path }, messageOf(error));
    }
  }

  async close(): Promise<void> {
    if (this.#timer === null) return this.#writes.idle();
    clearTimeout(this.#timer);
    this.#timer = null;
    await this.#write();
  }
}
