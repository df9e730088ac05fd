/** Chooses how to reach versions and jobs: the Freshet that holds the data folder, or log and stores directly. */
import { reachesAll } from '../../assembly/foundation.js';
import type { Shell } from '../shell.js';
import { holderClient, overHttp, type Publications } from './publications.js';

/** Errors: those of opening; 'locked' while another process is still starting. */
export async function openPublications(shell: Shell): Promise<Publications> {
  const client = await holderClient(shell, reachesAll(shell.settings));
  if (client !== null) return overHttp(client);
  const { openDirect } = await import('./direct-publications.js');
  return await openDirect(shell);
}
