/** Limits and fixed values of the features, defined once for the folds that apply them and the audit that checks them. */

/** UTC days in the window, the day of `as_of` included. */
export const WINDOW_DAYS = 90;
/** How far ahead of the log's clock an event may be; it then counts as happening now. */
export const EVENT_AHEAD_MS_MAX = 5 * 60_000;
/** Categories by name in a user's affinity; the lighter ones become `other`. */
export const CATEGORIES_MAX = 256;
/** Products in a user's interactions, the heaviest first. */
export const INTERACTIONS_MAX = 1_000;
/** Category of a product that is not in the catalogue. */
export const UNKNOWN_CATEGORY = 'unknown';
