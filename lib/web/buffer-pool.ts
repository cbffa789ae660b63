// SPDX-License-Identifier: MIT
// Memory for bodies of answers, used again and again: fresh memory costs a page fault every 4 KiB, and without a bound many slow clients have it all.

export interface BufferPoolOptions {
  /** Of each buffer; a longer body gets none. */
  readonly bufferBytes: number;
  /** On loan at the same time. */
  readonly buffers: number;
  /** That are kept while nobody has them. */
  readonly kept: number;
}

export class BufferPool {
  readonly #options: BufferPoolOptions;
  readonly #free: ArrayBuffer[] = [];
  #lent = 0;

  constructor(options: BufferPoolOptions) {
    this.#options = options;
  }

  /** On loan now. */
  get lent(): number {
    return this.#lent;
  }

  /** `bytes` of memory with whatever is in it; undefined where that is too much, or all is on loan. */
  take(bytes: number): Buffer | undefined {
    const { bufferBytes, buffers } = this.#options;
    if (bytes > bufferBytes || this.#lent === buffers) return undefined;
    this.#lent++;
    return Buffer.from(this.#free.pop() ?? new ArrayBuffer(bufferBytes), 0, bytes);
  }

  /** `reuse`: false where the system may still read from it; then it is left to the garbage collector. */
  giveBack(buffer: Buffer, reuse = true): void {
    this.#lent--;
    if (reuse && this.#free.length < this.#options.kept) this.#free.push(buffer.buffer as ArrayBuffer);
  }
}
