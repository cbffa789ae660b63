// SPDX-License-Identifier: MIT
// Reads batch messages of any sender of the family into typed items. A batch that is none is refused by name; a bad item spoils no other.

import { type DType, dtypeSize, dtypes } from "../image/dtype.js";
import {
  anything,
  dict,
  type Infer,
  listOf,
  numeric,
  optional,
  readShape,
  record,
  required,
  text,
} from "../runtime/message-schema.js";
import { processIdentity } from "../runtime/messages.js";
import { describe, wireError } from "../runtime/pickle-value.js";
import type { ProducerIdentity } from "./identity.js";
import { type StoredPlane, type StreamComponent, streamComponents } from "./payload.js";

const identity = {
  origin: required(text),
  output_kind: required(text),
  output_key: required(text),
  projection_key: required(text),
  step_name: optional(text),
  pipeline_position: optional(numeric),
  step_scope_id: optional(text),
  invocation_key: optional(text),
  artifact_kind: optional(text),
};
const route = { url: required(text), incarnation: optional(text), owner: optional(record(processIdentity)) };
const item = {
  path: required(text, { fallback: "" }),
  data_type: required(text, { fallback: "image" }),
  metadata: required(dict),
  producer_identity: optional(record(identity)),
  shape: optional(listOf(numeric)),
  dtype: optional(text),
  shm_name: optional(text),
  data: optional(anything),
  shapes: optional(listOf(dict)),
  rois: optional(listOf(text)),
  image_id: optional(text),
  return_route: optional(record(route)),
  producer: optional(record(processIdentity)),
  image_metadata: optional(dict),
  tilecast: optional(dict),
};
const batch = {
  images: required(listOf(anything)),
  display_config: required(dict),
  timestamp: optional(numeric),
  component_names_metadata: optional(dict),
  component_value_domain: optional(dict),
};

export type ReceivedFields = Infer<typeof item>;

export interface ReceivedItem extends ReceivedFields {
  /** Why it cannot be taken; the fields are then only what could be read. */
  readonly damage?: string;
}

export interface ReceivedBatch {
  readonly images: readonly ReceivedItem[];
  readonly display_config: { readonly [key: string]: unknown };
  readonly component_names_metadata: { readonly [key: string]: unknown };
  readonly component_value_domain: { readonly [key: string]: unknown };
}

/** Throws ERR_WIRE that names the field. */
export function readBatch(message: unknown): ReceivedBatch {
  const type = (message as { type?: unknown } | null)?.type;
  if (type !== "batch") throw wireError("batch.type", '"batch"', describe(type));
  const { images, ...rest } = readShape(batch, message, "batch");
  return {
    display_config: rest.display_config,
    component_names_metadata: rest.component_names_metadata ?? {},
    component_value_domain: rest.component_value_domain ?? {},
    images: images.map((value, i) => {
      try {
        return readShape(item, value, `images[${i}]`);
      } catch (error) {
        const id = (value as { image_id?: unknown } | null)?.image_id;
        return {
          path: "",
          data_type: "image",
          metadata: {},
          damage: (error as Error).message,
          ...(typeof id === "string" && { image_id: id }),
        };
      }
    }),
  };
}

export type ReceivedComponents = Readonly<Record<StreamComponent, string | number>>;

/** The item's place. Throws ERR_WIRE for a component that is missing. */
export function componentsOf({ metadata }: ReceivedFields): ReceivedComponents {
  return Object.fromEntries(
    streamComponents.map((component) => {
      const value = metadata[component];
      if (typeof value !== "string" && typeof value !== "number")
        throw wireError(`metadata.${component}`, "a string or number", describe(value));
      return [component, value];
    }),
  ) as ReceivedComponents;
}

/** Who made it; senders of generation A say so in `metadata.source` at most. */
export function identityOf(received: ReceivedFields): ProducerIdentity {
  const given = received.producer_identity;
  const source = typeof received.metadata.source === "string" ? received.metadata.source : "images";
  const base = given ?? {
    origin: "direct",
    output_kind: "direct",
    output_key: source,
    projection_key: source,
  };
  return {
    step_name: null,
    pipeline_position: null,
    step_scope_id: null,
    invocation_key: null,
    artifact_kind: null,
    ...base,
  } as ProducerIdentity;
}

export interface ReceivedPlane {
  readonly shape: readonly number[];
  readonly dtype: DType | "bool";
  readonly bytes: number;
}

/** numpy's other spellings of what we read, little-endian or of one byte. */
const spellings: Readonly<Record<string, DType>> = {
  "|u1": "uint8",
  "|i1": "int8",
  "<u2": "uint16",
  "<i2": "int16",
  "<u4": "uint32",
  "<i4": "int32",
  "<f4": "float32",
  "<f8": "float64",
};
const maxPlaneBytes = 2 ** 40;

/** Shape and dtype of an item's pixels. Throws ERR_WIRE: `object`, for one, is how foreign pointers were once read. */
export function planeOf({ shape, dtype }: ReceivedFields): ReceivedPlane {
  if (shape === undefined || shape.length < 2 || shape.length > 3)
    throw wireError("shape", "[y, x] or [y, x, 3]", describe(shape));
  if (shape.some((n) => !Number.isSafeInteger(n) || n <= 0))
    throw wireError("shape", "positive integers", `[${shape.join(", ")}]`);
  const name = dtype === undefined ? undefined : (spellings[dtype] ?? dtype);
  const known = name === "bool" || (dtypes as readonly (string | undefined)[]).includes(name);
  if (!known) throw wireError("dtype", `bool, ${dtypes.join(", ")}`, describe(dtype));
  const type = name as DType | "bool";
  const bytes = shape.reduce((product, n) => product * n, type === "bool" ? 1 : dtypeSize(type));
  if (bytes > maxPlaneBytes) throw wireError("shape", `at most ${maxPlaneBytes} bytes`, `${bytes}`);
  return { shape, dtype: type, bytes };
}

/** Whether the sender knows that a viewer may keep shared memory; OpenHCS's free it after the reply, which copies it must be by then. */
export function handsOver(item: ReceivedFields, batch: Pick<ReceivedBatch, "display_config">): boolean {
  return item.tilecast !== undefined || batch.display_config.tilecast !== undefined;
}

/** `tilecast.store`, where it is whole. */
export function storeOf({ tilecast }: ReceivedFields): StoredPlane | undefined {
  const store = tilecast?.store as Partial<StoredPlane> | undefined;
  if (typeof store?.path !== "string" || typeof store.array !== "string") return undefined;
  if (!Array.isArray(store.index) || store.index.some((n) => !Number.isSafeInteger(n) || n < 0))
    return undefined;
  return { path: store.path, array: store.array, index: store.index };
}
