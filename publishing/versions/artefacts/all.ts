/** Which contents belong to which artefact. */
import type { Artefact } from '../../layout.js';
import type { Contents } from './contents.js';
import { filesOnly } from './files-only.js';
import { stopwords } from './stopwords.js';

/** What is only read from its folder needs no rows and, in the online store, no more than its checksum. */
export function contentsOf(artefact: Artefact): Contents {
  return artefact === 'stopwords' ? stopwords : filesOnly;
}
