// SPDX-License-Identifier: MIT
// Decodes an LZ4 block (lz4_Block_format.md of the reference implementation).

/** Decodes `source` into `target`, which it has to fill. Throws RangeError where the block is not what it should be. */
export function decodeLz4Block(source: Uint8Array, target: Uint8Array): void {
  let from = 0;
  let to = 0;
  const damaged = () => new RangeError("a damaged LZ4 block");
  /** Lengths of 15 and more go on in bytes, as long as those are 255. */
  const more = (length: number): number => {
    let sum = length;
    if (length !== 15) return sum;
    for (;;) {
      const byte = source[from++];
      if (byte === undefined) throw damaged();
      sum += byte;
      if (byte !== 255) return sum;
    }
  };
  while (from < source.length) {
    const token = source[from++] as number;
    const literals = more(token >> 4);
    if (from + literals > source.length || to + literals > target.length) throw damaged();
    target.set(source.subarray(from, from + literals), to);
    from += literals;
    to += literals;
    // The last sequence has no match.
    if (from === source.length) break;
    const offset = (source[from] as number) | ((source[from + 1] ?? 0) << 8);
    from += 2;
    const length = more(token & 15) + 4;
    if (offset === 0 || offset > to || to + length > target.length) throw damaged();
    if (offset >= length) target.copyWithin(to, to - offset, to - offset + length);
    // A match that overlaps what it writes repeats it.
    else for (let i = 0; i < length; i++) target[to + i] = target[to + i - offset] as number;
    to += length;
  }
  if (to !== target.length) throw damaged();
}
