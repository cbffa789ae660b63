// SPDX-License-Identifier: MIT
// Fetches what a part of a Zarr array's plane takes from a store: whole chunk files, and of shards the index and the wanted chunks.
//
// Zarr codec sharding_indexed, version 1.0: an index of offset and length (64 bit, little-endian) a chunk, in C order.

import { isTilecastError } from "../errors.js";
import type { NativeFileParts } from "../native.js";
import type { ByteRange, FileRanges, ImageRegion, Store } from "./store.js";
import type { ZarrArray } from "./zarr-array.js";
import { type ChunkPlace, touchedChunks } from "./zarr-chunks.js";

/** Files asked for at a time; a store over HTTP has a limit of its own. */
const parallel = 32;
/** How often a shard is read anew because it was replaced between its index and its chunks. */
const maxRestarts = 3;

const nowhere = 0xffff_ffff_ffff_ffffn;

/**
 * Of the files that the plane at `index` is in, what its `region` takes, by name below the array's folder; null for files that there are not. Errors as
 * of the store's reads.
 */
export async function fetchZarrPlane(
  store: Store,
  array: ZarrArray,
  index: readonly number[],
  region: ImageRegion,
  signal: AbortSignal | undefined,
  /** The array's folder in the store, where its path is another one. */
  folder = array.path,
): Promise<Record<string, NativeFileParts | null>> {
  const files: Record<string, NativeFileParts | null> = {};
  const places = touchedChunks(array, index, region);
  let next = 0;
  const work = async () => {
    for (let i = next++; i < places.length; i = next++) {
      const place = places[i] as ChunkPlace;
      try {
        files[place.name] = await fetchFile(store, `${folder}/${place.name}`, array, index, place, signal);
      } catch (error) {
        if (!isTilecastError(error, "ERR_KEY_NOT_FOUND")) throw error;
        files[place.name] = null;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(parallel, places.length) }, work));
  return files;
}

async function fetchFile(
  store: Store,
  key: string,
  array: ZarrArray,
  index: readonly number[],
  place: ChunkPlace,
  signal: AbortSignal | undefined,
): Promise<NativeFileParts> {
  const whole = async (): Promise<NativeFileParts> => {
    const bytes = await store.read(key, { signal });
    return { name: place.name, size: bytes.length, offsets: [0], parts: [bytes] };
  };
  const [shard] = array.shards;
  // Shards within shards are rare; and what is wanted as a whole takes one request instead of two.
  if (shard === undefined || array.shards.length > 1) return whole();
  const counts = array.chunk.map((n, axis) => n / (shard.chunk[axis] as number));
  const lead = index.map((n, axis) => n % (array.chunk[axis] as number));
  const wanted = wantedChunks(shard.chunk, counts, lead, place);
  const all = counts.reduce((n, count) => n * count, 1);
  if (wanted.length === all) return whole();
  const indexBytes = 16 * all + (shard.indexChecksum ? 4 : 0);
  for (let restart = 0; ; restart++) {
    const head = await store.readRanges(
      key,
      [{ offset: shard.indexAtEnd ? -indexBytes : 0, bytes: indexBytes }],
      { signal },
    );
    const table = head.parts[0] as Uint8Array;
    // Shorter than its index: damaged, which the reader says.
    if (table.length < indexBytes) return whole();
    const ranges = rangesOf(table, wanted, head.size);
    const indexAt = shard.indexAtEnd ? head.size - indexBytes : 0;
    const places = [...ranges, { offset: indexAt, bytes: indexBytes }].sort((a, b) => a.offset - b.offset);
    // Chunks that share bytes are no writer's doing; the reader takes them as they are.
    if (places.some(({ offset }, i) => i > 0 && offset < endOf(places[i - 1] as ByteRange))) return whole();
    const body: FileRanges = ranges.length === 0 ? head : await store.readRanges(key, ranges, { signal });
    if (body.version !== head.version) {
      if (restart === maxRestarts) return whole();
      continue;
    }
    const parts = new Map(ranges.map((range, i) => [range.offset, body.parts[i] as Uint8Array]));
    parts.set(indexAt, table);
    return {
      name: place.name,
      size: head.size,
      offsets: places.map(({ offset }) => offset),
      parts: places.map(({ offset }) => parts.get(offset) as Uint8Array),
    };
  }
}

const endOf = ({ offset, bytes }: ByteRange) => offset + bytes;

/** Numbers in the index of the chunks that the part of the plane in this shard touches. */
function wantedChunks(
  chunk: readonly number[],
  counts: readonly number[],
  lead: readonly number[],
  { region }: ChunkPlace,
): number[] {
  const row = lead.reduce(
    (n, at, axis) => n * (counts[axis] as number) + Math.floor(at / (chunk[axis] as number)),
    0,
  );
  const [height, width] = chunk.slice(-2) as [number, number];
  const [down, across] = counts.slice(-2) as [number, number];
  const wanted: number[] = [];
  for (let y = Math.floor(region.y / height); y * height < region.y + region.height; y++)
    for (let x = Math.floor(region.x / width); x * width < region.x + region.width; x++)
      wanted.push((row * down + y) * across + x);
  return wanted;
}

/** Where chunks lie, ascending; those that are not there, or not where they can be, are left to the reader. */
function rangesOf(table: Uint8Array, wanted: readonly number[], size: number): ByteRange[] {
  const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
  const ranges: ByteRange[] = [];
  for (const i of wanted) {
    const offset = view.getBigUint64(16 * i, true);
    const bytes = view.getBigUint64(16 * i + 8, true);
    if (offset === nowhere && bytes === nowhere) continue;
    if (bytes === 0n || offset > BigInt(size) || bytes > BigInt(size) - offset) continue;
    ranges.push({ offset: Number(offset), bytes: Number(bytes) });
  }
  return ranges.sort((a, b) => a.offset - b.offset);
}
