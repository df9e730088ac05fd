/**
 * How settings are declared and read. Each room declares its own, next to the code that uses them; a process merges the
 * declarations into one strict schema. A malformed value, an unknown FRESHET_* or a near miss of a known name stops the
 * start with a sentence.
 */
import { z } from 'zod';
import { FreshetError } from './errors.js';
import { nearestName } from './near-names.js';

/** `user:password@` in an address, where it does not belong. */
const CREDENTIALS = /@/;

export type Environment = Readonly<Record<string, string | undefined>>;

/** `Name`: the names that the rules refer to. */
interface Rules<Name extends string> {
  /** Names whose values must not be shown. */
  readonly secrets: readonly Name[];
  /** Settings that have no effect without another one; without this rule they would be ignored silently. */
  readonly needs: readonly (readonly [name: Name, needs: Name])[];
  /** Pairs of settings of which at most one may be set. */
  readonly alternatives: readonly (readonly [Name, Name])[];
}

export interface SettingsDeclaration<S extends z.ZodRawShape = z.ZodRawShape> extends Rules<string> {
  /** The schema and default of each value. */
  readonly shape: S;
}

/** The settings of one room. Each schema converts text to a value; optional settings are marked as such. */
export function declareSettings<S extends z.ZodRawShape>(
  shape: S,
  rules: Partial<Rules<keyof S & string>> = {},
): SettingsDeclaration<S> {
  return { shape, secrets: [], needs: [], alternatives: [], ...rules };
}

/** The settings of a declaration as they are read. */
export type SettingsOf<D> = D extends SettingsDeclaration<infer S> ? Readonly<z.infer<z.ZodObject<S>>> : never;

/** The intersection of a union's members. */
type AllOf<U> = (U extends unknown ? (one: U) => void : never) extends (all: infer All) => void ? All : never;

/** The settings of several declarations together. */
export type Merged<D extends readonly SettingsDeclaration[]> = AllOf<SettingsOf<D[number]>>;

/** Throws when a name is declared twice. */
export function mergeSettings<const D extends readonly SettingsDeclaration[]>(
  declarations: D,
): SettingsSchema<Merged<D>> {
  return new SettingsSchema(declarations);
}

class SettingsSchema<S> {
  readonly names: readonly (keyof S & string)[];
  /** Names whose values must not be shown. */
  readonly secrets: readonly string[];
  readonly #known: readonly string[];
  readonly #declarations: readonly SettingsDeclaration[];
  readonly #schema: z.ZodType;

  constructor(declarations: readonly SettingsDeclaration[]) {
    const names = declarations.flatMap(({ shape }) => Object.keys(shape));
    const twice = names.find((name, i) => names.indexOf(name) !== i);
    if (twice !== undefined) throw new Error(`The setting ${twice} is declared twice.`);
    this.names = names as (keyof S & string)[];
    this.secrets = declarations.flatMap(({ secrets }) => secrets);
    this.#known = names;
    this.#declarations = declarations;
    this.#schema = z.strictObject(Object.assign({}, ...declarations.map(({ shape }) => shape)));
  }

  /** An empty value counts as unset. Throws FreshetError('settings') with every problem found. */
  load(environment: Environment): S {
    const given: Record<string, string> = {};
    const problems: string[] = [];
    for (const [name, value] of Object.entries(environment)) {
      if (value === undefined) continue;
      if (!this.#known.includes(name)) problems.push(...this.#strangerProblems(name));
      else if (value !== '') given[name] = value;
    }
    const result = this.#schema.safeParse(given);
    if (result.success) problems.push(...this.#conflicts(result.data as Record<string, unknown>));
    else problems.push(...result.error.issues.map((issue) => this.#malformed(issue, given)));
    if (problems.length > 0) throw new FreshetError('settings', `Wrong settings:\n  ${problems.join('\n  ')}`);
    return result.data as S;
  }

  /** Which settings were given and which have their default. */
  given(environment: Environment): ReadonlySet<string> {
    return new Set(this.names.filter((name) => environment[name] !== undefined && environment[name] !== ''));
  }

  /** What is wrong with a name that is not a setting; nothing if it belongs to another program. */
  #strangerProblems(name: string): string[] {
    const near = nearestName(name, this.#known);
    if (name.startsWith('FRESHET_'))
      return [`${name} is not a setting${near ? `; did you mean ${near}?` : '.'} "freshet doctor" lists them.`];
    return near ? [`${name} is not a setting; did you mean ${near}? Unset it if it belongs to something else.`] : [];
  }

  #malformed({ path, message }: z.core.$ZodIssue, given: Readonly<Record<string, string>>): string {
    const name = path.join('.');
    const value = given[name] ?? '';
    const mayShow = !this.secrets.includes(name) && !CREDENTIALS.test(value);
    return `${name}: ${message}${mayShow ? ` (it is ${JSON.stringify(value)})` : ''}.`;
  }

  #conflicts(settings: Readonly<Record<string, unknown>>): string[] {
    return this.#declarations.flatMap(({ needs, alternatives }) => [
      ...needs
        .filter(([name, needed]) => settings[name] && !settings[needed])
        .map(([name, needed]) => `${name} is set, but ${needed}, which it needs, is not.`),
      ...alternatives
        .filter(([one, other]) => settings[one] && settings[other])
        .map(([one, other]) => `${one} and ${other} are both set: give one of them.`),
    ]);
  }
}
