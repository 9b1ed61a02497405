// HTTP/2 frames byte by byte (RFC 9113), for what no library would send.

export const DATA = 0;
export const HEADERS = 1;
export const RST_STREAM = 3;
export const SETTINGS = 4;
export const PING = 6;
export const CONTINUATION = 9;

export const END_STREAM = 1;
export const END_HEADERS = 4;

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const INITIAL_WINDOW_SIZE = 4;

export function frame(type, flags, stream, payload = Buffer.alloc(0)) {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** SETTINGS, with the window that each of our streams begins with. */
export function settings(window = 65_535) {
  const payload = Buffer.alloc(6);
  payload.writeUInt16BE(INITIAL_WINDOW_SIZE, 0);
  payload.writeUInt32BE(window, 2);
  return frame(SETTINGS, 0, 0, payload);
}

export function reset(stream) {
  const cancel = Buffer.from([0, 0, 0, 8]);
  return frame(RST_STREAM, 0, stream, cancel);
}

/** A header block (RFC 7541): static names, literal values, nothing that is remembered. `more` are names and values. */
export function block(method, authority, path, more = []) {
  const string = (text) => Buffer.concat([Buffer.from([text.length]), Buffer.from(text)]);
  const indexed = (index, text) => Buffer.concat([Buffer.from([index]), string(text)]);
  const named = (name, text) => Buffer.concat([Buffer.from([0]), string(name), string(text)]);
  return Buffer.concat([
    Buffer.from([method === 'POST' ? 0x83 : 0x82, 0x87]), indexed(1, authority), indexed(4, path),
    ...more.map(([name, text]) => named(name, text)),
  ]);
}
