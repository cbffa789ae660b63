// SPDX-License-Identifier: MIT
// UTF-8 as Python pickles write it: with lone surrogates kept ("surrogatepass"), which neither TextDecoder nor Buffer does.

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const loneSurrogate = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

/** Decodes; `undefined` when the bytes are not UTF-8 even with surrogates allowed. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes);
  } catch {
    return decodeWithSurrogates(bytes);
  }
}

function decodeWithSurrogates(bytes: Uint8Array): string | undefined {
  const parts: string[] = [];
  let from = 0;
  const flush = (to: number): boolean => {
    try {
      if (to > from) parts.push(strict.decode(bytes.subarray(from, to)));
      return true;
    } catch {
      return false;
    }
  };
  for (let i = 0; i + 2 < bytes.length; i++) {
    // A surrogate is three bytes: ED, A0 to BF, 80 to BF.
    const [b0, b1, b2] = [bytes[i] as number, bytes[i + 1] as number, bytes[i + 2] as number];
    if (b0 !== 0xed || (b1 & 0xe0) !== 0xa0 || (b2 & 0xc0) !== 0x80) continue;
    if (!flush(i)) return undefined;
    parts.push(String.fromCharCode(0xd000 | ((b1 & 0x3f) << 6) | (b2 & 0x3f)));
    from = i + 3;
    i += 2;
  }
  return flush(bytes.length) ? parts.join("") : undefined;
}

/** Encodes; a lone surrogate becomes three bytes. */
export function encodeUtf8(text: string): Buffer {
  if (!loneSurrogate.test(text)) return Buffer.from(text, "utf8");
  const parts: Buffer[] = [];
  for (const point of text) {
    const code = point.codePointAt(0) as number;
    parts.push(
      code >= 0xd800 && code <= 0xdfff
        ? Buffer.from([0xe0 | (code >> 12), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f)])
        : Buffer.from(point, "utf8"),
    );
  }
  return Buffer.concat(parts);
}
