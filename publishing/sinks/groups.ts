/** Names of the groups of sinks. The stores keep each sink's position under these names. */

/** Features of one version in the online store. */
export function onlineGroup(version: number): string {
  return `features.v${version}.redis`;
}

/** Features of one version in Postgres. */
export function tableGroup(version: number): string {
  return `features.v${version}.postgres`;
}

/** Topics of producers in Postgres. */
export const PRODUCER_TABLES_GROUP = 'tables.postgres';
