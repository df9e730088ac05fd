/** Runs one command line in this process and gives back what it said. */
import { PassThrough, Readable } from 'node:stream';
import type { Compose } from '../../../cli/compose.js';
import { main } from '../../../cli/main.js';

export interface Said {
  readonly code: number;
  readonly output: string;
  readonly errors: string;
}

export interface CommandSetting {
  readonly environment?: Readonly<Record<string, string>>;
  /** Standard input; closed and no terminal. */
  readonly input?: string | Buffer;
  readonly compose?: Compose;
}

export async function runCommand(args: readonly string[], setting: CommandSetting = {}): Promise<Said> {
  const output = new PassThrough();
  const errors = new PassThrough();
  const code = await main(
    args,
    {
      environment: setting.environment ?? {},
      input: Readable.from([Buffer.from(setting.input ?? '')]),
      output,
      errors,
    },
    setting.compose,
  );
  return { code, output: textOf(output), errors: textOf(errors) };
}

function textOf(stream: PassThrough): string {
  const chunk: unknown = stream.read();
  return Buffer.isBuffer(chunk) ? chunk.toString('utf8') : '';
}
