/** What every real service of the tests has in common: how it is named, required and announced. */

export interface Service {
  readonly url: string;
  /** One line on how it was obtained. */
  readonly how: string;
  /** Stops what was started, and only that. */
  stop(): Promise<void>;
}

export type ServiceName = 'kafka' | 'redis' | 'postgres';

/** True when REQUIRE_REAL (names separated by commas) turns a stand-in for this service into a failure. */
export function isRequired(name: ServiceName): boolean {
  return (process.env['REQUIRE_REAL'] ?? '').split(',').some((each) => each.trim() === name);
}

/** Fails where only a stand-in can be had and REQUIRE_REAL wants the real service. */
export function refuseStandIn(name: ServiceName, standIn: string): void {
  if (isRequired(name)) throw new Error(`REQUIRE_REAL names ${name}, but there is only ${standIn}.`);
}

/** One line per service, so that a run tells what it ran on. */
export function announce(name: ServiceName, how: string): void {
  console.log(`${name}: ${how}`);
}
