/** One command to a Redis server over a separate connection, bypassing the store port, to put it into a bad state. */
import { connect } from 'node:net';
import type { RedisOptions } from '../../../runtime/stores/redis/redis.js';

const ANSWER_MS_MAX = 5_000;

/** The raw answer, without its type byte and line end. Words must not contain blanks. Throws on an error answer. */
export async function redisCommand(options: RedisOptions, ...words: string[]): Promise<string> {
  const url = new URL(options.url ?? 'redis://127.0.0.1:6379');
  const password = options.password ?? decodeURIComponent(url.password);
  const lines = [...(password === '' ? [] : [`AUTH ${password}`]), words.join(' ')];
  const answers = await talk(options.path ?? Number(url.port), lines);
  const answer = answers.at(-1) ?? '';
  if (answer.startsWith('-')) throw new Error(`${words.join(' ')}: ${answer.slice(1)}`);
  return answer.slice(1);
}

/** Sends the lines and waits for as many answers; a bulk answer counts as its text. */
function talk(target: string | number, lines: readonly string[]): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const socket = typeof target === 'string' ? connect(target) : connect(target, '127.0.0.1');
    let text = '';
    socket.setTimeout(ANSWER_MS_MAX, () => socket.destroy(new Error(`no answer to ${lines.at(-1)}`)));
    socket.setEncoding('utf8');
    socket.once('error', reject);
    socket.once('connect', () => socket.write(`${lines.join('\r\n')}\r\n`));
    socket.on('data', (chunk: string) => {
      text += chunk;
      const answers = answersIn(text);
      if (answers.length < lines.length) return;
      resolve(answers);
      socket.destroy();
    });
  });
}

function answersIn(text: string): string[] {
  const answers: string[] = [];
  let rest = text;
  for (let end = rest.indexOf('\r\n'); end >= 0; end = rest.indexOf('\r\n')) {
    const line = rest.slice(0, end);
    rest = rest.slice(end + 2);
    if (!line.startsWith('$') || line === '$-1') {
      answers.push(line);
      continue;
    }
    const length = Number(line.slice(1));
    if (rest.length < length + 2) break;
    answers.push(`$${rest.slice(0, length)}`);
    rest = rest.slice(length + 2);
  }
  return answers;
}

/** The server's process. */
export async function redisPid(options: RedisOptions): Promise<number> {
  const pid = /process_id:(\d+)/.exec(await redisCommand(options, 'INFO', 'server'))?.[1];
  if (pid === undefined) throw new Error('INFO contains no process_id');
  return Number(pid);
}
