// SPDX-License-Identifier: MIT
// The only file that loads the native addon and declares what it exports.

import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { TilecastError } from "./errors.js";
import type { DType, TypedArray } from "./image/dtype.js";
import type { NativeBench } from "./native-bench.js";
import type { NativeEngine, NativeGpuAccount, NativeGpuDevice } from "./native-engine.js";
import type { NativeGpu } from "./native-gpu.js";

/** A loan of one pool slot. */
export interface NativeLoan {
  readonly slot: number;
  readonly generation: number;
}

export interface NativePoolStats {
  readonly slots: number;
  readonly free: number;
  readonly slotBytes: number;
  readonly loans: number;
  readonly waits: number;
  readonly peakInUse: number;
  /** Attached processes, the one that made the pool included. */
  readonly processes: number;
  /** Slots' objects that now belong to whoever maps them. */
  readonly handedOver: number;
  /** Slots that wait for a new object, neither free nor on loan. More than a few for long: `/dev/shm` or the machine has no memory for them. */
  readonly slotsMissing: number;
  /** Objects of `slotBytes` that this process has ready to take the place of handed-over ones. */
  readonly spares: number;
}

export interface NativeChannelStats {
  readonly capacity: number;
  /** Attached processes, the one that made the channel included. */
  readonly processes: number;
  readonly sent: number;
  readonly received: number;
  /** Messages of senders that died before they had written them. */
  readonly skipped: number;
  /** Messages of receivers that died before they had read them. */
  readonly lost: number;
}

/** One ring of tile descriptors (native/src/shm/channel.h); batches are ArrayBuffers of 56 bytes a descriptor. */
export interface NativeTileChannel {
  readonly id: string;
  readonly capacity: number;
  trySend(batch: ArrayBuffer): number;
  /** Looks again for `spinUs`, on this thread, while there is nothing. */
  tryReceive(most: number, spinUs: number): ArrayBuffer;
  /** Waits on a thread of the channel's own; gives a function that withdraws the call, which is then answered with ERR_CANCELLED. */
  send(batch: ArrayBuffer, done: (error: unknown) => void): () => void;
  /** As `send`; an empty batch says that the channel is closed. */
  receive(most: number, done: (error: unknown, batch?: ArrayBuffer) => void): () => void;
  stats(): NativeChannelStats;
  close(): void;
}

/** How a slot got a name for readers that cannot attach. */
export interface NativeExport {
  /** Of the shared-memory object, without a slash. */
  readonly name: string;
  /** An object of its own, with the pixels of the time of the export. */
  readonly copied: boolean;
  /** Why it is a copy; empty else. */
  readonly reason: string;
  readonly bytes: number;
}

/** One shared-memory pool (native/src/shm/tile_pool.h). */
export interface NativeTilePool {
  /** The memory as external ArrayBuffers, made once, of `slotsPerBuffer` slots each; the last may have fewer. One for pools of up to 2 GiB. */
  readonly buffers: readonly ArrayBuffer[];
  readonly slotsPerBuffer: number;
  readonly id: string;
  readonly slotBytes: number;
  readonly slots: number;
  /** `undefined` when no slot is free. */
  tryLoan(): NativeLoan | undefined;
  addLease(slot: number, generation: number): void;
  release(slot: number, generation: number): void;
  isCurrent(slot: number, generation: number): boolean;
  /** An empty name is made up; `readerPid` 0 is nobody in particular. */
  exportSlot(slot: number, generation: number, name: string, readerPid: number): NativeExport;
  unexport(name: string): boolean;
  handOver(name: string): boolean;
  /** Calls `callback` on this thread's loop, once, when a slot becomes free (at once if one is). Gives a function that withdraws it. */
  whenFree(callback: () => void): () => void;
  stats(): NativePoolStats;
  close(): void;
}

/** What a file's headers say (native/src/tiff/tiff_reader.h), or why they cannot be read. */
export interface NativeImageInfo {
  readonly width: number;
  readonly height: number;
  readonly samples: number;
  readonly dtype: DType;
  /** "none", "lzw", "deflate", ... */
  readonly compression: string;
  readonly predictor: number;
  readonly tiled: boolean;
  readonly chunkWidth: number;
  readonly chunkHeight: number;
  readonly bigEndian: boolean;
  /** Number of pages in the file; -1 unless asked for. */
  readonly pages: number;
  readonly thumbnail: boolean;
  readonly fastPath: boolean;
  /** ImageDescription; empty unless asked for. */
  readonly description: string;
  /** Micrometres, 0 when unknown. */
  readonly pixelSizeXUm: number;
  readonly pixelSizeYUm: number;
  readonly bytes: number;
  readonly mtimeMs: number;
}

/** One resolution of a page. */
export interface NativeImageLevel {
  readonly width: number;
  readonly height: number;
  readonly samples: number;
  readonly dtype: DType;
  readonly chunkWidth: number;
  readonly chunkHeight: number;
}

/** How a TIFF is written (native/src/tiff/tiff_writer.h). */
export interface NativeTiffEncoding {
  readonly codec: "none" | "deflate" | "zstd";
  readonly level: number;
  readonly predictor: boolean;
  /** px; 0: strips. */
  readonly tile: number;
  /** 0: chosen by their size. */
  readonly stripRows: number;
  /** Largest file that is a classic TIFF. */
  readonly classicBytes: number;
  readonly sync: boolean;
  /** Fail when there is a file of that name. Default false. */
  readonly exclusive?: boolean;
  /** Path that the file may have meanwhile, beside its own; default: one made up. */
  readonly temporary?: string;
}

export interface NativeTiffPage {
  /** ImageDescription; empty: none. */
  readonly description: string;
  /** Micrometres, 0 when unknown. */
  readonly pixelSizeXUm: number;
  readonly pixelSizeYUm: number;
  /** Resolutions, the plane's own included. */
  readonly levels: number;
  /** That compress at once. */
  readonly threads: number;
}

/** One file being written (native/src/tiff/tiff_writer.h). One call at a time; a failed one abandons the file. */
export interface NativeTiffWriter {
  open(path: string, encoding: NativeTiffEncoding): Promise<void>;
  writeTile(
    pool: NativeTilePool,
    slot: number,
    generation: number,
    dtype: DType,
    height: number,
    width: number,
    page: NativeTiffPage,
  ): Promise<void>;
  /** The pixels must stay where they are (no transfer) until the promise is settled. */
  writeArray(
    pixels: TypedArray,
    dtype: DType,
    height: number,
    width: number,
    page: NativeTiffPage,
  ): Promise<void>;
  /** The file's size. */
  finish(): Promise<number>;
  abandon(): Promise<void>;
}

export interface NativeFailure {
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly path: string;
    readonly page?: number;
    readonly offset?: number;
  };
}

/** Parts of a file that is elsewhere (native/src/file_parts.h), ascending and without overlaps; not to be changed while they are read. */
export interface NativeFileParts {
  /** For messages. */
  readonly name: string;
  readonly size: number;
  readonly offsets: readonly number[];
  readonly parts: readonly Uint8Array[];
}

/** Files of a Zarr array that are elsewhere, by name below its folder; null for those that there are not. */
export type NativeFetchedChunks = Readonly<Record<string, NativeFileParts | null>>;

/** Parts that a reader lacks: offset and bytes of each, in one list. */
export interface NativeMissing {
  readonly missing: Float64Array;
}

/** The shape of what was decoded, and the bytes read from files for it. */
export interface NativeDecoded {
  readonly width: number;
  readonly height: number;
  readonly dtype: DType;
  /** Absent where nothing was read from files. */
  readonly bytesRead?: number;
}

/** A level of a page, or a part of it. */
export interface NativePart {
  readonly level?: number;
  readonly region?: {
    readonly y: number;
    readonly x: number;
    readonly height: number;
    readonly width: number;
  };
}

/** How arrays are stored (native/src/zarr/plane_writer.h). */
export interface NativeEncoding {
  readonly format: 2 | 3;
  readonly sharded: boolean;
  readonly codec: string;
  readonly level: number;
  readonly chunk: number;
  readonly separator: "/" | ".";
}

/** What reading needs to know of a Zarr array (native/src/zarr/array.h). */
export interface NativeZarrDescription {
  readonly path: string;
  readonly keyPrefix: string;
  readonly separator: "/" | ".";
  readonly dtype: DType;
  readonly bigEndian: boolean;
  readonly fill: number;
  readonly shape: readonly number[];
  readonly chunk: readonly number[];
  readonly shards: readonly {
    readonly chunk: readonly number[];
    readonly indexAtEnd: boolean;
    readonly indexChecksum: boolean;
  }[];
  readonly codecs: readonly string[];
}

/** A Zarr array that planes are read from (native/src/zarr/plane_reader.h). Holds no file open. */
export interface NativeZarrArray {
  /** Decodes a region of the plane at `index` into a loaned slot, on a worker thread; resolves with its shape. */
  readPlane(
    pool: NativeTilePool,
    slot: number,
    generation: number,
    index: readonly number[],
    y: number,
    x: number,
    height: number,
    width: number,
    /** Instead of files: parts of them by name below the array's folder; null for files that there are not. */
    fetched?: NativeFetchedChunks,
  ): Promise<NativeDecoded>;
  /** Of each plane, in C order, the bytes of its files and the newest one's time, ms; zeros where there is no file. */
  statPlanes(): Promise<Float64Array>;
}

/** Images of one size on a canvas (native/src/ops/mosaic.h); px. */
export interface NativeMosaic {
  readonly height: number;
  readonly width: number;
  readonly imageHeight: number;
  readonly imageWidth: number;
  readonly y: readonly number[];
  readonly x: readonly number[];
}

export interface NativeJob {
  readonly program: number;
  /** Number of the image in an estimate; else the caller's own, given back with function calls. */
  readonly index: number;
  /** Number of the image in an aligner. */
  readonly image?: number;
  readonly thumbnail: boolean;
  /** Its images are too large for a slot: all threads take it through block by block. Default false. */
  readonly inBlocks?: boolean;
  readonly sources: readonly {
    readonly path: string;
    readonly page: number;
    readonly sample: number;
    readonly height: number;
    readonly width: number;
    readonly dtype: DType;
    /** A plane of a Zarr array instead of a TIFF's page. */
    readonly array?: NativeZarrArray;
    readonly index?: readonly number[];
    /** Instead of files: all that reading the plane takes. Not to be changed until the job's result is there. */
    readonly fetched?: NativeFileParts | NativeFetchedChunks;
  }[];
  readonly outputs: readonly {
    readonly dir: string;
    readonly lead: string;
    readonly height: number;
    readonly width: number;
    readonly dtype: DType;
    readonly levels: number;
  }[];
  readonly mosaics?: readonly NativeMosaic[];
  /** One entry a part of the job: its rows' leading fields, with the trailing comma. */
  readonly rowPrefixes: readonly string[];
  /** The same for rows of planes.csv, whose next field is the step. */
  readonly planePrefixes: readonly string[];
  /** Small files written before the job's results. */
  readonly files: readonly { readonly path: string; readonly text: string }[];
}

export interface NativeJobResult {
  /** Position in the list given to `start`. */
  readonly job: number;
  readonly error?: {
    readonly code: string;
    readonly message: string;
    readonly stage: string;
    readonly path?: string;
    readonly page?: number;
    readonly offset?: number;
  };
  readonly rows: string;
  /** Rows of planes.csv. */
  readonly planeRows: string;
  /** As the job's `rowPrefixes`: rows, sums of each column over them, display range of the written image. */
  readonly parts: readonly {
    readonly objects: number;
    readonly sums: Float64Array;
    readonly low?: number;
    readonly high?: number;
  }[];
  readonly bytesRead: number;
  readonly bytesWritten: number;
  readonly pixels: number;
  readonly thumbnails: readonly {
    readonly height: number;
    readonly width: number;
    readonly pixels: Float32Array;
    readonly outline: Uint8Array | null;
  }[];
  /** Tiles for viewers; who takes the result takes their leases. What is viewed is the instruction's `view`. */
  readonly views?: readonly NativeView[];
  /** Polygons around the objects of a label image: ring r has the vertices offsets[r] to offsets[r + 1], y, x, y, x, ... */
  readonly outlines?: readonly {
    readonly view: number;
    readonly vertices: Float32Array;
    readonly offsets: Uint32Array;
    readonly labels: Int32Array;
  }[];
  readonly centroids?: readonly {
    readonly view: number;
    readonly points: Float32Array;
    readonly labels: Int32Array;
  }[];
}

/** A row of the table of native ops. */
export interface NativeOp {
  readonly name: string;
  /** Images beside the one that flows: how many it must and may be given. */
  readonly leastOthers: number;
  readonly mostOthers: number;
  /** What of the input a pixel of the result depends on. */
  readonly reach: "pixel" | "halo" | "plane";
  /** A GPU can apply it, to some dtypes and with some parameters (docs/gpu-ops.md). */
  readonly gpu: boolean;
  readonly accepts: readonly DType[];
  readonly parameters: readonly {
    readonly name: string;
    readonly type: "number" | "integer" | "flag" | "choice" | "dtype";
    readonly optional: boolean;
    readonly fallback?: number | boolean | string;
    readonly choices: readonly string[];
  }[];
}

/** A result tile that stays in its slot until its lease is given back. */
export interface NativeView extends NativeLoan {
  readonly view: number;
  readonly height: number;
  readonly width: number;
  readonly dtype: DType;
}

export interface NativeViewStats {
  readonly given: number;
  /** Tiles that were not given since viewers held all they may. */
  readonly refused: number;
  /** Of all threads together. */
  readonly waitedMs: number;
  /** Tiles that viewers hold now. */
  readonly held: number;
}

/** A user's function is wanted: a worker thread of the core waits for `completeCall(id)`. */
export interface NativeFunctionCall {
  readonly id: number;
  readonly resource: number;
  readonly slotIn: number;
  readonly slotOut: number;
  readonly height: number;
  readonly width: number;
  readonly dtype: DType;
  readonly outDtype: DType;
  readonly job: number;
  /** Of the job: the plane that the image is of, or the first of those. */
  readonly source: number;
}

/** One executor (native/src/exec/executor.h). */
export interface NativeRunner {
  addProgram(program: { readonly registers: number; readonly code: readonly object[] }): number;
  addField(height: number, width: number, field: Float32Array): number;
  addFieldFile(path: string): { readonly resource: number; readonly height: number; readonly width: number };
  addEstimator(height: number, width: number, factor: number, images: number): number;
  addFunction(): number;
  /** `pairs`: of each the numbers of two images, and y, x where the second is expected in the first, px. */
  addAligner(
    height: number,
    width: number,
    images: number,
    pairs: Float64Array,
    reach: number,
    upsample: number,
  ): number;
  /** Of each pair 0 or 1, found; y, x, score, chance (native/src/ops/pair_match.h). */
  finishAligner(resource: number): Float64Array;
  finishEstimator(resource: number, method: "median" | "mean", sigma: number): void;
  field(resource: number): Float32Array;
  start(
    jobs: readonly NativeJob[],
    onResults: (results: readonly NativeJobResult[], finished: boolean) => void,
    onCall: (call: NativeFunctionCall) => void,
  ): void;
  completeCall(id: number, error?: string): void;
  cancel(): void;
  timings(): readonly { readonly stage: string; readonly op: string; readonly seconds: number }[];
  /** Processor time of all threads, seconds, in decoding, computing, and compressing and writing; `blocked`: what reading and writing waited for files. */
  processor(): {
    readonly read: number;
    readonly compute: number;
    readonly write: number;
    readonly blocked: number;
  };
  /** What the GPU did; empty without one. */
  gpu(): NativeGpuAccount;
  views(): NativeViewStats;
  close(): void;
}

export interface NativeBinding extends NativeGpu, NativeEngine {
  readonly Runner: {
    new (
      pool: NativeTilePool,
      options: {
        readonly threads: number;
        /** Of these, how many compute at a time. Default: all. */
        readonly cores?: number;
        readonly gpu?: NativeGpuDevice;
        /** Keys of segments that the processor does. */
        readonly notOnGpu?: readonly string[];
        readonly image: NativeEncoding;
        readonly labels: NativeEncoding;
        readonly thumbnailPx: number;
        /** Slots of the pool that viewers may hold at once, beyond what the threads need. Default 0. */
        readonly viewSlots?: number;
        /** How long all threads together may wait for viewers to let go. Default 0. */
        readonly viewWaitMs?: number;
        /** What the objects of one mask or label image of a job in blocks may take. Default 1 GiB. */
        readonly objectBytes?: number;
      },
    ): NativeRunner;
    /** Pool slots that one job of the program holds at its fullest point. */
    slotsNeeded(program: { readonly registers: number; readonly code: readonly object[] }): number;
    /** Slots that each thread takes when a job of the program runs in blocks, and the first instruction that needs more of an image in a slot than that holds, or -1. */
    inBlocks(
      program: { readonly registers: number; readonly code: readonly object[] },
      job: NativeJob,
      slotBytes: number,
    ): { readonly slots: number; readonly unfit: number };
  };
  readonly TilePool: {
    create(slotBytes: number, slots: number): NativeTilePool;
    /** The pool of this id that another thread of this process created: the same memory, for worker threads. */
    attach(id: string): NativeTilePool;
    /** The pool of this id that another process created. */
    open(id: string, access: "write" | "read" | "observe"): NativeTilePool;
    /** Removes what dead processes left in shared memory. */
    sweep(): { readonly pools: number; readonly objects: number; readonly bytes: number };
  };
  readonly TiffWriter: { new (): NativeTiffWriter };
  readonly ZarrArray: { new (description: NativeZarrDescription): NativeZarrArray };
  /** The file of each level of a plane (its shard, or its only chunk), each level half of the one before by means. */
  encodeZarrPlane(
    pixels: TypedArray,
    dtype: DType,
    height: number,
    width: number,
    levels: number,
    encoding: NativeEncoding,
  ): Promise<Uint8Array[]>;
  readonly bench: NativeBench;
  readonly TileChannel: {
    create(capacity: number): NativeTileChannel;
    open(id: string): NativeTileChannel;
  };
  /** The ops that programs apply by name (native/src/exec/op_registry.h). */
  listOps(): NativeOp[];
  /** What an op makes of an input; `halo` is null where a pixel depends on the whole plane. */
  opResult(
    name: string,
    input: { readonly dtype: DType; readonly height: number; readonly width: number },
    parameters: Readonly<Record<string, unknown>>,
  ): {
    readonly dtype: DType;
    readonly height: number;
    readonly width: number;
    readonly halo: number | null;
  };
  /** Error codes of the core, in its order. */
  readonly errorCodes: readonly string[];
  /** Instruction set of the kernels in use: "v2", "v3", "v4" or "base". */
  readonly kernels: string;
  /** Versions of the linked codec libraries; `libtiff` is null when none can be loaded. */
  versions(): { libdeflate: string; zstd: string; lz4: string; libtiff: string | null };
  /** Names that a test compares with this interface come from the addon itself. */
  scanImages(
    paths: readonly string[],
    options: { readonly pages: boolean; readonly description: boolean; readonly threads: number },
  ): Promise<(NativeImageInfo | NativeFailure)[]>;
  /** The resolutions of a page: itself and the reduced images in its SubIFDs. */
  imageLevels(path: string, page: number): Promise<NativeImageLevel[]>;
  /** Decodes one sample of one page, or a part of it, into a loaned slot, on a worker thread; resolves with the shape of what it decoded. */
  readPlane(
    pool: NativeTilePool,
    slot: number,
    generation: number,
    path: string,
    page: number,
    sample: number,
    part?: NativePart,
  ): Promise<NativeDecoded>;
  /** As `readPlane`, of a TIFF file of which parts are here; or what is missing. */
  readPlaneOfParts(
    pool: NativeTilePool,
    slot: number,
    generation: number,
    source: NativeFileParts,
    page: number,
    sample: number,
    part?: NativePart,
  ): Promise<NativeDecoded | NativeMissing>;
  /** Says what is missing for a plane; nothing when all is here. */
  havePlaneOfParts(
    source: NativeFileParts,
    page: number,
    sample: number,
  ): Promise<NativeMissing | { readonly missing?: undefined }>;
  imageLevelsOfParts(source: NativeFileParts, page: number): Promise<NativeImageLevel[] | NativeMissing>;
  /** As `scanImages` for one file; rejects where it is damaged. */
  scanImageOfParts(
    source: NativeFileParts,
    options: { readonly pages: boolean; readonly description: boolean },
  ): Promise<NativeImageInfo | NativeMissing>;
}

const root = join(dirname(fileURLToPath(import.meta.url)), "..");

function load(): NativeBinding {
  const require = createRequire(import.meta.url);
  try {
    return require("node-gyp-build")(root) as NativeBinding;
  } catch (cause) {
    const report = process.report?.getReport() as { header?: { glibcVersionRuntime?: string } } | undefined;
    const libc = report?.header?.glibcVersionRuntime;
    throw new TilecastError(
      "ERR_NATIVE_LOAD",
      [
        `tilecast's native addon does not load on ${process.platform}-${process.arch} (node ${process.version}, ${libc ? `glibc ${libc}` : "no glibc"}): ${(cause as Error).message}`,
        `Looked in build/Release and prebuilds/${process.platform}-${process.arch} of ${root}.`,
        "To mend it:",
        ...(process.platform === "linux" && process.arch === "x64"
          ? libc
            ? [
                "  - reinstall: npm install tilecast",
                "  - or build it from a clone: npm run build:native (needs cmake, a C++20 compiler, libdeflate, zstd and lz4)",
              ]
            : [
                "  - this looks like a musl system (Alpine); tilecast ships a glibc build: build from a clone, or use a glibc image",
              ]
          : [
              "  - tilecast ships a build for linux-x64 only so far; on this platform build it from a clone: npm run build:native",
            ]),
      ].join("\n"),
      { cause },
    );
  }
}

let binding: NativeBinding | undefined;

/** The addon, loaded at first use, so that `tilecast --help` and pure TypeScript parts never need it. Throws ERR_NATIVE_LOAD. */
export function native(): NativeBinding {
  binding ??= load();
  return binding;
}
