/** Limits of every id and category, wherever they are checked. */

/** Longest id or category, bytes of UTF-8. */
export const ID_BYTES_MAX = 256;
