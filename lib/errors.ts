// SPDX-License-Identifier: MIT
// Every error class and code of the package, and the one guard that narrows them.

/**
 * Every `code` with what it means. The first block is raised by the native core too (a test compares it with the addon's list).
 */
export const errorCodes = {
  ERR_INVALID_ARGUMENT: "An argument has the wrong type or value.",
  ERR_IO: "The operating system refused to open, read or write a file.",
  ERR_TIFF_DAMAGED: "A file is not a TIFF, is truncated, or its fields contradict each other.",
  ERR_TIFF_UNSUPPORTED: "A valid TIFF that neither the fast path nor libtiff reads.",
  ERR_ZARR_DAMAGED: "A Zarr array's metadata or chunks are truncated or contradict themselves.",
  ERR_ZARR_UNSUPPORTED: "A valid Zarr array of a kind, dtype or codec that is not read.",
  ERR_POOL_MEMORY: "Shared memory cannot be had: /dev/shm is full or too small.",
  ERR_POOL_CLOSED: "The tile pool is closed.",
  ERR_POOL_NOT_FOUND: "No tile pool or channel of that id exists on this machine (any more).",
  ERR_POOL_VERSION: "A tile pool or channel of another process has a layout that this version does not read.",
  ERR_SLOT_RELEASED: "A tile was used after its release, or released twice.",
  ERR_SLOT_TOO_SMALL: "An image does not fit the pool's slots.",
  ERR_OP_DTYPE: "An op was given a dtype that it does not take.",
  ERR_OP_SHAPE: "The images of one op disagree in shape.",
  ERR_FUNCTION: "A user's function threw, or returned something else than pixels.",
  ERR_CANCELLED: "The operation was cancelled through its signal.",
  ERR_GPU_UNAVAILABLE: "No GPU can be used here, or the library that reaches it is missing.",
  ERR_GPU_FAILED: "The GPU was lost, or refuses a kernel or a size.",
  ERR_INTERNAL: "A defect in tilecast; please report it.",

  ERR_NATIVE_LOAD: "The native addon could not be loaded on this machine.",
  ERR_PLATE_NOT_FOUND: "The plate folder does not exist or cannot be read.",
  ERR_PLATE_FORMAT: "The folder is not a plate of a known layout.",
  ERR_METADATA: "A plate's metadata is damaged, contradicts itself, or points outside the plate.",
  ERR_PLANE_UNREADABLE: "A plane's file could not be read when the plate was opened.",
  ERR_PATTERN: "A filename pattern is not valid.",
  ERR_PIPELINE: "A pipeline does not fit the plate, or its steps do not fit each other.",
  ERR_OUTPUT_EXISTS: "The output folder already holds results.",
  ERR_STREAM: "Something cannot be sent to, or received from, another process.",
  ERR_WIRE: "A message of another process is damaged, too large, or not what its kind prescribes.",
  ERR_ENDPOINT: "A socket address cannot be used: taken, unsafe, or too long.",
  ERR_TIMEOUT: "Another process did not answer in time.",
  ERR_REMOTE: "Another process answered with an error.",
  ERR_VIEWER: "A viewer cannot be had: a program that it needs is missing, or it did not start.",
  ERR_INSTANCE: "A server process could not be started, or the one found is not the one wanted.",
  ERR_KEY_NOT_FOUND: "A store has no such key.",
  ERR_KEY_EXISTS: "A key is to be made and is there already, or is the folder of other keys.",
  ERR_STORE_KIND: "A store's key holds something else than was asked for, or cannot hold it.",
  ERR_STORE_READ_ONLY: "A store, or this key of it, cannot be changed.",
  ERR_STORE_BUDGET: "A store's byte budget does not allow another value.",
  ERR_STORE_CLOSED: "The store is closed.",
  ERR_HTTP: "A web server did not give what was asked for.",
  ERR_USAGE: "The command line is wrong.",
} as const;

export type ErrorCode = keyof typeof errorCodes;

export interface ErrorDetails {
  /** The file it is about. */
  readonly path?: string;
  /** The key of a store it is about. */
  readonly key?: string;
  /** 0-based page of that file. */
  readonly page?: number;
  /** Byte offset in that file. */
  readonly offset?: number;
  /** The argument, option or field it is about. */
  readonly argument?: string;
  /** Whether the same call can succeed later without a change. */
  readonly retriable?: boolean;
  readonly cause?: unknown;
}

/** The base of everything that tilecast throws. `code` is stable; `message` names the place, what was expected and what came. */
export class TilecastError extends Error {
  readonly code: ErrorCode;
  readonly path: string | undefined;
  readonly key: string | undefined;
  readonly page: number | undefined;
  readonly offset: number | undefined;
  readonly argument: string | undefined;
  readonly retriable: boolean;

  override readonly name = "TilecastError";

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.path = details.path;
    this.key = details.key;
    this.page = details.page;
    this.offset = details.offset;
    this.argument = details.argument;
    this.retriable = details.retriable ?? false;
  }
}

export interface HttpErrorDetails extends ErrorDetails {
  /** Without credentials, query and fragment. */
  readonly url: string;
  /** Of the last answer; none when there was no answer. */
  readonly status?: number;
  /** Requests made, the first included. */
  readonly attempts: number;
}

/** ERR_HTTP with the request it is about. */
export class HttpError extends TilecastError {
  readonly url: string;
  readonly status: number | undefined;
  readonly attempts: number;

  constructor(message: string, details: HttpErrorDetails) {
    super("ERR_HTTP", message, details);
    this.url = details.url;
    this.status = details.status;
    this.attempts = details.attempts;
  }
}

/** Narrows an unknown error to a {@link TilecastError}, with one of `codes` when given. */
export function isTilecastError(error: unknown, ...codes: ErrorCode[]): error is TilecastError {
  return error instanceof TilecastError && (codes.length === 0 || codes.includes(error.code));
}

/** Turns an error of the native addon (a plain Error with `code`, `path`, `page`, `offset`) into a {@link TilecastError}; others pass through. */
export function fromNative(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof TilecastError) return error;
  const e = error as Error & { code?: string; path?: string; page?: number; offset?: number };
  if (e.code === undefined || !Object.hasOwn(errorCodes, e.code)) return error;
  return new TilecastError(e.code as ErrorCode, e.message, {
    ...(e.path === undefined ? {} : { path: e.path }),
    ...(e.page === undefined ? {} : { page: e.page }),
    ...(e.offset === undefined ? {} : { offset: e.offset }),
    cause: error,
  });
}
