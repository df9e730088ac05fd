/** The two forms of a line: the record itself, or `{"key", "value"}`. */

/** The line in the form of `{"key"?, "value"}`. */
export function keyedRecord(json: unknown): unknown {
  return isKeyed(json) ? json : { value: json };
}

/** No record of ours has a field named `key` or `value`. */
function isKeyed(json: unknown): boolean {
  return (
    typeof json === 'object' &&
    json !== null &&
    Object.hasOwn(json, 'value') &&
    Object.keys(json).every((name) => name === 'key' || name === 'value')
  );
}
