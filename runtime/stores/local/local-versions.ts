/** Switching and reading versions in the in-process store; equivalent to version-scripts.ts. */
import { checksumKey, type PartRead, partsKey, stagedKey, type VersionedKeys } from '../versioned-keys.js';
import type { Value } from './local-state.js';

type Values = ReadonlyMap<string, Value>;

/** The renames needed when `version` follows `former`; null if a part of the version is missing. */
export function movesOf(
  values: Values,
  keys: VersionedKeys,
  former: number | null,
  version: number,
): [string, string][] | null {
  const { plain } = keys;
  if (plain === null) return [];
  const moves: [string, string][] = [];
  if (former !== null && former !== version) {
    for (const part of partsOf(values, keys, former).keys())
      if (values.has(plain.prefix + part)) moves.push([plain.prefix + part, stagedKey(plain, former, part)]);
  }
  for (const part of partsOf(values, keys, version).keys()) {
    const staged = stagedKey(plain, version, part);
    if (values.has(staged)) moves.push([staged, plain.prefix + part]);
    else if (former !== version || !values.has(plain.prefix + part)) return null;
  }
  return moves;
}

export function readPart(
  values: Values,
  keys: VersionedKeys,
  current: number | null,
  version: number | null,
  part: string,
): Omit<PartRead, 'token'> {
  const fields = new Map<string, string>();
  if (version === null || keys.plain === null || !values.has(checksumKey(keys, version)))
    return { found: 'absent', version, fields };
  const parts = partsOf(values, keys, version);
  const count = parts.get(part);
  if (count === undefined) return { found: parts.size > 0 ? 'no_part' : 'absent', version, fields };
  const key = version === current ? keys.plain.prefix + part : stagedKey(keys.plain, version, part);
  const held = values.get(key);
  if (held?.kind !== 'hash' || held.fields.size !== Number(count)) return { found: 'absent', version, fields };
  return { found: 'whole', version, fields: new Map(held.fields) };
}

function partsOf(values: Values, keys: VersionedKeys, version: number): ReadonlyMap<string, string> {
  const value = values.get(partsKey(keys, version)!);
  return value?.kind === 'hash' ? value.fields : new Map();
}
