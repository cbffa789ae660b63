// SPDX-License-Identifier: MIT
// Blocks of bytes by name, up to a budget, least recently used out first.

export class BlockCache {
  readonly #maxBytes: number;
  /** In the order of their last use. */
  readonly #blocks = new Map<string, Uint8Array>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get(name: string): Uint8Array | undefined {
    const block = this.#blocks.get(name);
    if (block !== undefined) {
      this.#blocks.delete(name);
      this.#blocks.set(name, block);
    }
    return block;
  }

  /** A block larger than the budget is not kept. */
  set(name: string, block: Uint8Array): void {
    this.delete(name);
    if (block.length > this.#maxBytes) return;
    this.#blocks.set(name, block);
    this.#bytes += block.length;
    for (const oldest of this.#blocks.keys()) {
      if (this.#bytes <= this.#maxBytes) break;
      this.delete(oldest);
    }
  }

  delete(name: string): void {
    const block = this.#blocks.get(name);
    if (block === undefined) return;
    this.#blocks.delete(name);
    this.#bytes -= block.length;
  }

  clear(): void {
    this.#blocks.clear();
    this.#bytes = 0;
  }
}
