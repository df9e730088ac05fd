/** Common to all real services of the tests: how they are named, required and announced. */

export interface Service {
  readonly url: string;
  /** One line on how it was obtained. */
  readonly how: string;
  /** Stops only what was started here. */
  stop(): Promise<void>;
}

/** `npm` is the registry, which the test of an installation needs. */
export type ServiceName = 'kafka' | 'redis' | 'postgres' | 'npm';

/** True when REQUIRE_REAL (names separated by commas) turns a stand-in for this service into a failure. */
export function isRequired(name: ServiceName): boolean {
  return (process.env['REQUIRE_REAL'] ?? '').split(',').some((each) => each.trim() === name);
}

/** Fails if only a stand-in is available and REQUIRE_REAL requires the real service. */
export function refuseStandIn(name: ServiceName, standIn: string): void {
  if (isRequired(name)) throw new Error(`REQUIRE_REAL names ${name}, but there is only ${standIn}.`);
}

/** One line per service, so that a run shows what it ran on. */
export function announce(name: ServiceName, how: string): void {
  console.log(`${name}: ${how}`);
}
