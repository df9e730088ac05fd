/**
 * Named points in the engine at which a fault test intervenes: it kills the process there, delays it, or throws. Each
 * room declares its own names. Free in production: passing a point is one comparison.
 */

/** `where` names what passes: a task, a sink's partition, a version, a run. */
export type FaultHook<Point extends string = string> = (point: Point, where: string) => Promise<void> | void;

let hook: FaultHook | null = null;

/** Calls the hook at every point; null removes it. For tests only. */
export function takeFaultPoints<Point extends string>(next: FaultHook<Point> | null): void {
  hook = next as FaultHook | null;
}

/** Passes a point; await it. What the hook throws goes to the caller. Rooms narrow it to the points they declare. */
export const passFaultPoint: FaultHook = (point, where) => {
  if (hook !== null) return hook(point, where);
};
