/** The contents of each artefact. */
import type { Artefact } from '../../layout.js';
import { als } from './als.js';
import type { Contents } from './contents.js';
import { faiss } from './faiss.js';
import { filesOnly } from './files-only.js';
import { stopwords } from './stopwords.js';

const CONTENTS: Partial<Readonly<Record<Artefact, Contents>>> = { stopwords, als, faiss };

/** An artefact that is only read from its folder needs no rows, and only its checksum in the online store. */
export function contentsOf(artefact: Artefact): Contents {
  return CONTENTS[artefact] ?? filesOnly;
}
