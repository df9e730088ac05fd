/** One version of an application: everything that contains its number is derived from one such value. */
export interface ApplicationSet<Topics> {
  /** From 1 on. */
  readonly version: number;
  /**
   * `<name>.v<n>`: the application and its group; its transactional ids and internal topics start with it and a dot.
   */
  readonly application: string;
  readonly topics: Topics;
}
