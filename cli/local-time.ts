/** Times for people to read: in this machine's time zone, to the second. JSON keeps ISO 8601 UTC. */

const two = (value: number) => String(value).padStart(2, '0');

/** 2026-05-20 15:30:12; a dash if there is none. */
export function localTime(time: Date | null): string {
  if (time === null) return '-';
  const date = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  return `${date} ${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
}
