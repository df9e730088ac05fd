/** What the process that is killed and the test that kills it have agreed on. */
export const WRITERS = ['a', 'b', 'c'];
export const PARTITIONS = 3;
