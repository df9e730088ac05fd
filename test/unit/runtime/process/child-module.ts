/** What a child does in tests: it answers `echo`, and ends in the way that a message names. */
const WAYS: Readonly<Record<string, () => void>> = {
  exit: () => {
    console.error('first words');
    console.error('last words');
    process.exit(7);
  },
  hoard: () => {
    for (const hoard: number[][] = []; ; ) hoard.push(new Array<number>(100_000).fill(1.5));
  },
  ignore: () => {
    process.on('SIGTERM', () => undefined);
    process.send?.({ ignores: true });
  },
  environment: () => {
    process.send?.({ environment: process.env, collects: globalThis.gc !== undefined });
  },
};

process.on('disconnect', () => process.exit(0));
process.on('message', (message: { readonly echo?: unknown; readonly way?: string }) => {
  if (message.way === undefined) process.send?.(message);
  else WAYS[message.way]!();
});
