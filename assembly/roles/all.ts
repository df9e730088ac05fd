/** The roles that a process can have. */
import { roleOf, SNAPSHOTTERS, type SnapshotterRole } from '../snapshotters.js';

export type Role = 'processor' | 'publisher' | 'serving' | SnapshotterRole;

export const ALL_ROLES: readonly Role[] = ['processor', 'publisher', 'serving', ...SNAPSHOTTERS.map(roleOf)];
