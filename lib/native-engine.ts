// SPDX-License-Identifier: MIT
// What the addon says of the GPU as an engine of runs (native/src/bind/gpu_device.cc, run_gpu.cc).

import type { DType } from "./image/dtype.js";

/** The adapter behind an opened GPU (native/src/gpu/engine.h). */
export interface NativeGpuAdapter {
  readonly name: string;
  readonly vendor: string;
  readonly driver: string;
  readonly backend: string;
  /** Dawn's file. */
  readonly library: string;
  /** A processor that plays a GPU. */
  readonly software: boolean;
  /** It has memory of its own, behind a link. */
  readonly discrete: boolean;
  /** Whether it reads and writes pool slots where they are; else why not. */
  readonly hostMapped: boolean;
  readonly hostMappedReason: string;
  /** How planes get to it: bound or copied from mapped slots, or through staging buffers. */
  readonly planes: "bind" | "copy" | "stage";
  readonly maxBufferBytes: number;
  readonly maxBindingBytes: number;
}

/** An opened GPU; stays open until `closeGpu`, the last run that uses it, and the garbage collector are done with it. */
export interface NativeGpuDevice {
  readonly handle: unknown;
  readonly adapter: NativeGpuAdapter;
}

export interface NativeGpuStats {
  readonly requests: number;
  readonly submits: number;
  readonly passes: number;
  /** Bytes copied through staging buffers. */
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** Slots that the device has mapped. */
  readonly imports: number;
  readonly pipelines: number;
  readonly devicesLost: number;
  readonly redone: number;
  /** Of the device's thread: putting work together, and waiting for the device. */
  readonly encodeSeconds: number;
  readonly waitSeconds: number;
}

type NativeProgram = { readonly registers: number; readonly code: readonly object[] };

export interface NativeTileShape {
  readonly dtype: DType;
  readonly height: number;
  readonly width: number;
}

/** Instructions that the GPU does in one go (native/src/exec/gpu_segments.h). */
export interface NativeSegment {
  /** Equal keys: equal work, of whatever plate. */
  readonly key: string;
  /** Its ops: "flatField, gaussian, otsu, label, measure". */
  readonly title: string;
  /** Steps that they belong to. */
  readonly stages: readonly string[];
}

/** An op that the GPU cannot do. */
export interface NativeOnCpu {
  readonly stage: string;
  readonly op: string;
  readonly reason: string;
}

export interface NativeGpuAccount {
  readonly segments: readonly (NativeSegment & {
    /** That the GPU did. */
    readonly tiles: number;
    /** That threads waited for it, all of them together. */
    readonly seconds: number;
    /** Tiles that the processor did after all. */
    readonly redone: readonly { readonly reason: string; readonly tiles: number }[];
  })[];
  readonly onCpu: readonly NativeOnCpu[];
}

export interface NativeEngine {
  /** Loads Dawn and takes an adapter. Rejects with ERR_GPU_UNAVAILABLE, naming all that was tried. */
  openGpu(options: {
    /** A part of the adapter's name, or "software". Default: TILECAST_GPU_ADAPTER, else the fastest. */
    readonly adapter?: string;
    /** Dawn's file. */
    readonly library?: string;
    readonly planes?: "auto" | "bind" | "copy" | "stage";
  }): Promise<NativeGpuDevice>;
  gpuStats(gpu: NativeGpuDevice): NativeGpuStats;
  /** What waits fails, and runs go on without it. */
  closeGpu(gpu: NativeGpuDevice): void;
  /** For tests: the device is lost while work is in flight. */
  loseGpu(gpu: NativeGpuDevice): void;
  /** What a GPU does of a program for planes of these shapes, and the pool slots that a job then reserves. */
  gpuSegments(
    program: NativeProgram,
    sources: readonly NativeTileShape[],
    /** Keys of segments that the processor does. */
    notOnGpu?: readonly string[],
  ): {
    readonly segments: readonly NativeSegment[];
    readonly onCpu: readonly NativeOnCpu[];
    readonly slots: number;
  };
  /** Tiles a second of each segment, done by `cores` threads, and by the GPU with `workers` waiting for it. */
  trySegments(
    gpu: NativeGpuDevice,
    program: NativeProgram,
    sources: readonly NativeTileShape[],
    options: {
      readonly cores: number;
      readonly workers: number;
      /** For each engine. */
      readonly seconds: number;
      readonly skip: readonly string[];
    },
  ): Promise<{ readonly key: string; readonly cpu: number; readonly gpu: number; readonly why: string }[]>;
}
