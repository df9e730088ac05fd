/** What holds for every id and category, wherever it is checked. */

/** Longest id or category, bytes of UTF-8. */
export const ID_BYTES_MAX = 256;
