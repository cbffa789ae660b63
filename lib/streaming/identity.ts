// SPDX-License-Identifier: MIT
// Who made a payload, as the wire has it, and what follows from it: stable keys of layers and windows, and titles that people read.

import type { Producer, StreamComponent, StreamPayload } from "./payload.js";

export type PayloadKind = StreamPayload["kind"];

/** `producer_identity` of a batch's item (polystore's StreamProducerIdentity); all nine keys are always written. */
export interface ProducerIdentity {
  readonly origin: string;
  readonly output_kind: string;
  readonly output_key: string;
  readonly projection_key: string;
  readonly step_name: string | null;
  readonly pipeline_position: number | null;
  readonly step_scope_id: string | null;
  readonly invocation_key: string | null;
  readonly artifact_kind: string | null;
}

export function producerIdentity(producer: Producer, kind: PayloadKind): ProducerIdentity {
  const { stepName, position, output } = producer;
  const isManual = producer.kind === "manual";
  return {
    origin: isManual ? "manual" : "pipeline",
    output_kind: producer.kind,
    output_key: output,
    projection_key: output,
    step_name: stepName,
    pipeline_position: position,
    step_scope_id: null,
    invocation_key: null,
    artifact_kind: producer.kind === "artifact" ? kind : null,
  };
}

/** A part of a key: what would look like a path or a word break becomes "_" (polystore's StreamRouteKeyAuthority). */
const token = (part: string | number): string => String(part).replace(/[/\\ ]/g, "_");

export const joinRoute = (parts: readonly (string | number)[]): string => parts.map(token).join("_");

/** The parts of a key that the producer makes. */
export function routeParts(identity: ProducerIdentity): string[] {
  const { origin, output_kind, projection_key, pipeline_position, step_scope_id, step_name } = identity;
  return [
    `origin_${origin}`,
    `kind_${output_kind}`,
    `projection_${projection_key}`,
    ...(pipeline_position === null ? [] : [`step_${pipeline_position}`]),
    ...(step_scope_id ? [`scope_${step_scope_id}`] : []),
    ...(step_name ? [`name_${step_name}`] : []),
  ];
}

const kindsWithoutOutput = new Set(["main", "manual", "direct"]);

/** `3. Segment cells`: the step counted from 1, and the output's name where it says more than the step. */
export function producerTitle(identity: ProducerIdentity): string {
  const base = identity.step_name || identity.output_key;
  const label = identity.pipeline_position === null ? base : `${identity.pipeline_position + 1}. ${base}`;
  const saysMore = !kindsWithoutOutput.has(identity.output_kind) && identity.output_key !== base;
  return saysMore ? `${label} ${identity.output_key}` : label;
}

/** How the components' names are written in front of a value. */
export const componentLabels: Readonly<Record<StreamComponent, string>> = {
  site: "Site",
  channel: "Ch",
  z_index: "Z",
  timepoint: "T",
  well: "Well",
};
