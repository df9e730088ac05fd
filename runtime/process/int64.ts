/** Signed 64-bit integers, big endian, as numbers; exact below 2^53, as all offsets and times are. */

export function readInt64(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at) * 4_294_967_296 + bytes.readUInt32BE(at + 4);
}

export function writeInt64(bytes: Buffer, value: number, at: number): void {
  bytes.writeInt32BE(Math.floor(value / 4_294_967_296), at);
  bytes.writeUInt32BE(((value % 4_294_967_296) + 4_294_967_296) % 4_294_967_296, at + 4);
}
