/** Runs one command line in this process and returns its output. */
import { Readable, Writable } from 'node:stream';
import type { Compose } from '../../../assembly/running.js';
import { main } from '../../../cli/main.js';

export interface Said {
  readonly code: number;
  readonly output: string;
  readonly errors: string;
}

export interface CommandSetting {
  readonly environment?: Readonly<Record<string, string>>;
  /** Standard input; closed and not a terminal. */
  readonly input?: string | Buffer;
  readonly compose?: Compose;
}

export async function runCommand(args: readonly string[], setting: CommandSetting = {}): Promise<Said> {
  const output = collector();
  const errors = collector();
  const code = await main(
    args,
    {
      environment: setting.environment ?? {},
      input: Readable.from([Buffer.from(setting.input ?? '')]),
      output: output.stream,
      errors: errors.stream,
    },
    setting.compose,
  );
  return { code, output: output.text(), errors: errors.text() };
}

/** Accepts everything at once, so that no command waits for a reader. */
function collector() {
  const chunks: Buffer[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk);
      done();
    },
  });
  return { stream, text: () => Buffer.concat(chunks).toString('utf8') };
}
