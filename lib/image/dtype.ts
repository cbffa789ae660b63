// SPDX-License-Identifier: MIT
// Pixel types: names, sizes and the typed array behind each.

/** Pixel types by their numpy and zarr names, in the order of the native enum (native/src/image.h). */
export const dtypes = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"] as const;

export type DType = (typeof dtypes)[number];

const sizes: Record<DType, number> = {
  uint8: 1,
  int8: 1,
  uint16: 2,
  int16: 2,
  uint32: 4,
  int32: 4,
  float32: 4,
  float64: 8,
};

/** Bytes a pixel. */
export function dtypeSize(dtype: DType): number {
  return sizes[dtype];
}

const arrays = {
  uint8: Uint8Array,
  int8: Int8Array,
  uint16: Uint16Array,
  int16: Int16Array,
  uint32: Uint32Array,
  int32: Int32Array,
  float32: Float32Array,
  float64: Float64Array,
} as const;

export type TypedArray = InstanceType<(typeof arrays)[DType]>;

/** The pixel type of a typed array; `undefined` for other arrays and views. */
export function dtypeOf(array: ArrayBufferView): DType | undefined {
  if (array instanceof Uint8ClampedArray) return "uint8";
  return dtypes.find((dtype) => array instanceof arrays[dtype]);
}

/** A view of `length` pixels of `dtype` at `byteOffset` of `buffer`; nothing is copied. */
export function typedView(
  buffer: ArrayBufferLike,
  dtype: DType,
  byteOffset: number,
  length: number,
): TypedArray {
  return new arrays[dtype](buffer as ArrayBuffer, byteOffset, length);
}

/** Where a pool's slots lie in JavaScript's memory. */
export interface SlotMemory {
  readonly buffers: readonly ArrayBuffer[];
  readonly slotsPerBuffer: number;
  readonly slotBytes: number;
}

/** The first `length` pixels of a slot; nothing is copied. */
export function slotView(memory: SlotMemory, slot: number, dtype: DType, length: number): TypedArray {
  const { buffers, slotsPerBuffer, slotBytes } = memory;
  const place = slot % slotsPerBuffer;
  return typedView(buffers[(slot - place) / slotsPerBuffer] as ArrayBuffer, dtype, place * slotBytes, length);
}
