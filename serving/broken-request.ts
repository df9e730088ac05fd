/** The answer to a socket whose bytes never became a request: malformed, too slow, or with too large a header. */
import type { Socket } from 'node:net';
import { PROBLEM_TYPE, Problem } from './problem.js';

const PROBLEMS: Readonly<Record<string, Problem>> = {
  HPE_HEADER_OVERFLOW: new Problem(431, 'The header of the request is too large: send fewer or shorter headers.'),
  ERR_HTTP_REQUEST_TIMEOUT: new Problem(408, 'The request did not arrive in time: send it again.'),
};
const MALFORMED = new Problem(400, 'This is not a valid HTTP request.');

/** Answers in raw HTTP, because there is no response object, and closes the socket. */
export function answerBrokenRequest(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed || !socket.writable) {
    socket.destroy();
    return;
  }
  const problem = PROBLEMS[error.code ?? ''] ?? MALFORMED;
  const body = JSON.stringify(problem.toBody());
  const { title } = problem.toBody() as { title: string };
  socket.end(
    `HTTP/1.1 ${problem.status} ${title}\r\nContent-Type: ${PROBLEM_TYPE}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}
