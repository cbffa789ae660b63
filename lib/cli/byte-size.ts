// SPDX-License-Identifier: MIT
// Sizes as people write them in options.

/** Bytes of "4G", "512M", "1.5GiB" or a plain number, by powers of 1024; undefined for other text. A fraction of a byte may remain. */
export function byteSize(text: string): number | undefined {
  const m = /^(\d+(?:\.\d+)?)([KMGT]?)(?:i?B)?$/i.exec(text);
  if (m === null) return undefined;
  return Number(m[1]) * 1024 ** " KMGT".indexOf((m[2] || " ").toUpperCase());
}
