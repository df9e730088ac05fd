/** Shared by the process that is killed and the test that kills it. */
export const WRITERS = ['a', 'b', 'c'];
export const PARTITIONS = 3;
