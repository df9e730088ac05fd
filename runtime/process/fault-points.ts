/**
 * Named places in the engine where a fault test takes hold: it kills the process there, holds it up, or throws. Each room
 * declares the names of its own. Free in production: passing a point is one comparison.
 */

/** `where` names what passes: a task, a sink's partition, a version, a run. */
export type FaultHook<Point extends string = string> = (point: Point, where: string) => Promise<void> | void;

let hook: FaultHook | null = null;

/** Takes hold of every point; null lets go. For tests only. */
export function takeFaultPoints<Point extends string>(next: FaultHook<Point> | null): void {
  hook = next as FaultHook | null;
}

/** Passes a point. To be awaited; what the hook throws goes to the caller. Rooms narrow it to the points they declare. */
export const passFaultPoint: FaultHook = (point, where) => {
  if (hook !== null) return hook(point, where);
};
