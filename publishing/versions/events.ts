/** What happens to versions. */
import { NamedEvent, type Reports } from '../../runtime/process/events.js';
import { type SwitchToken, tokenText } from '../../runtime/stores/switch-token.js';
import type { Artefact } from '../layout.js';
import { versionMetrics } from './metrics.js';
import type { VersionName } from './place.js';

/** Another version became current in Postgres; the online store follows. */
export const versionSwitched = new NamedEvent<VersionName & { readonly reason: string | undefined }>(
  'version_switched',
);

/** A version could not be published; the current one stays. */
export const versionFailed = new NamedEvent<VersionName & { readonly reason: string }>('version_failed');

/** Another process has followed a switch that Postgres does not know: Postgres was restored from an older copy. */
export const timelineRaised = new NamedEvent<{
  readonly artefact: Artefact;
  readonly seen: SwitchToken;
  readonly seenVersion: number | null;
}>('version_timeline_raised');

export const reportVersions: Reports = (events, { logger, metrics }) => {
  events.on(versionSwitched, ({ artefact }) => versionMetrics(metrics).switches.inc({ artefact }));
  events.on(versionSwitched, ({ artefact, version, reason }) =>
    logger.info({ event: 'version_switched', artefact, version, reason }, 'The current version has changed'),
  );
  events.on(versionFailed, ({ artefact }) => versionMetrics(metrics).failures.inc({ artefact }));
  events.on(versionFailed, ({ artefact, version, reason }) =>
    logger.error({ event: 'version_failed', artefact, version, reason }, 'A version failed; the current one stays'),
  );
  events.on(timelineRaised, ({ artefact }) => versionMetrics(metrics).timelines.inc({ artefact }));
  events.on(timelineRaised, ({ artefact, seen, seenVersion }) =>
    logger.error(
      { event: 'version_timeline_raised', artefact, seen: tokenText(seen), seen_version: seenVersion },
      `Another process has followed switch ${tokenText(seen)} of ${artefact}, which Postgres does not know: it was ` +
        'restored from an older copy. Its current version is published again under a new timeline; whatever was ' +
        'published after the copy was made must be published again.',
    ),
  );
};
