/** Finds the known name that a misspelt one stands for. */

const PREFIX = 'FRESHET_';
/** Shorter names are too close to those of other programs. */
const LETTERS_MIN = 6;

/** Last words of our names that people leave out. */
const UNITS = /_(MS|S|H|DAYS|HOURS|BYTES|MB|DIR|FILE)$/;

/**
 * A known name that is one slip away: one edit or two swapped neighbours in names of at least six letters, other
 * underscores, a missing unit, or the prefix FRESHET_ before it. Names that differ by another whole word belong to other
 * programs (Kubernetes injects REDIS_PORT and similar ones).
 */
export function nearestName(name: string, known: readonly string[]): string | null {
  if (name.length < LETTERS_MIN) return null;
  const upper = name.toUpperCase();
  if (known.includes(upper)) return upper;
  const near = known.find((one) => one.length >= LETTERS_MIN && isOneSlip(name, one));
  if (near !== undefined) return near;
  const alike = known.find(
    (one) => one.includes('_') && [bare(one), bare(one.replace(UNITS, ''))].includes(bare(upper)),
  );
  if (alike !== undefined) return alike;
  if (!name.startsWith(PREFIX)) return null;
  const rest = name.slice(PREFIX.length);
  return known.find((one) => isOneSlip(rest, one)) ?? null;
}

function bare(name: string): string {
  return name.replaceAll('_', '');
}

/** Also true for equal names. */
function isOneSlip(a: string, b: string): boolean {
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let endA = a.length;
  let endB = b.length;
  while (endA > start && endB > start && a[endA - 1] === b[endB - 1]) {
    endA--;
    endB--;
  }
  const restA = a.slice(start, endA);
  const restB = b.slice(start, endB);
  if (restA.length <= 1 && restB.length <= 1) return true;
  return restA.length === 2 && restB.length === 2 && restA[0] === restB[1] && restA[1] === restB[0];
}
