/** Artefacts that readers load from the folder: the stores only record which version is current. */
import { createHash } from 'node:crypto';
import { checksumKey, settingsKey } from '../../../runtime/stores/versioned-keys.js';
import { StagingBatches } from '../staging.js';
import type { Contents } from './contents.js';

export const filesOnly: Contents = {
  async stageRows(_place, _version, manifest) {
    const marks = manifest.files.map(({ name, bytes, sha256 }) => `${name}\t${bytes}\t${sha256}\n`).sort();
    return createHash('sha256').update(marks.join('')).digest('hex');
  },

  async stageKeys(place, version, checksum) {
    const { artefact } = version;
    const batches = await StagingBatches.open(place, version);
    const keys = place.layout.versioned(artefact);
    await batches.send([
      { op: 'hset', key: place.layout.versionIndex(artefact), field: String(version.version), value: checksum },
      { op: 'set', key: checksumKey(keys, version.version), value: checksum },
    ]);
    await batches.finish();
  },

  async removeRows() {},

  async *keysOf({ layout }, { artefact, version }) {
    const keys = layout.versioned(artefact);
    yield [checksumKey(keys, version), settingsKey(keys, version)];
  },
};
