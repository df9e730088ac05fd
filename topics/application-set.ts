/** One version of an application: everything that carries its number comes from one such value. */
export interface ApplicationSet<Topics> {
  /** From 1 on. */
  readonly version: number;
  /** `<name>.v<n>`: the application and its group; its transactional ids and internal topics begin with it and a dot. */
  readonly application: string;
  readonly topics: Topics;
}
