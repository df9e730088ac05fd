/** The files of a version of the index. */

/** One JSON string per line, in order of their bytes: line n is the product at position n of the index. */
export const IDS_FILE = 'ids.jsonl';

/** Words of the products (words/word-index.ts); versions made before it have none. */
export const WORDS_FILE = 'words.bin';
