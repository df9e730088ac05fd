/** The settings of the command: those of every process and of the demo. */
import { DECLARED_SETTINGS } from '../assembly/settings.js';
import { type Environment, type Merged, mergeSettings } from '../runtime/process/settings.js';
import { demoSettings } from './demo/settings.js';

const declared = [...DECLARED_SETTINGS, demoSettings] as const;
const schema = mergeSettings(declared);

export type Settings = Merged<typeof declared>;
export const SETTING_NAMES = schema.names;
/** Names whose values must not be shown. */
export const SECRET_NAMES = schema.secrets;

/** Throws FreshetError('settings') with every problem found. */
export function loadSettings(environment: Environment): Settings {
  return schema.load(environment);
}

/** Which settings were given and which have their default. */
export function givenSettings(environment: Environment): ReadonlySet<string> {
  return schema.given(environment);
}
