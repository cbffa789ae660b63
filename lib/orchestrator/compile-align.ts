// SPDX-License-Identifier: MIT
// Compiles what finds how images lie to each other: which images belong together, which pairs of them are compared, and the jobs that read them.

import { TilecastError } from "../errors.js";
import type { PlaneRef, Plate } from "../plates/plate.js";
import { type Alignment, type AlignOp, alignmentKey, overOf } from "./alignment.js";
import { resolveChannel } from "./channel.js";
import { fieldPlaces, type GridParameters, type Neighbours, neighbours, type Point } from "./field-grid.js";
import type { Job, Plan, Resource } from "./plan.js";
import type { ResourceTable } from "./resource-table.js";
import { checkFit, jobOfResource, ProgramBuilder, type Stream, type Value } from "./stream.js";

/** Images that are aligned with each other. */
export interface AlignGroup extends Pick<Alignment, "over" | "well" | "site" | "timepoint"> {
  /** {@link alignmentKey} */
  readonly key: string;
  readonly members: readonly number[];
  readonly expected: readonly Point[];
  readonly pairs: readonly Neighbours[];
  /** The aligner, and the jobs that bring it images, by number. */
  readonly resource: number;
  readonly jobs: readonly { readonly image: number; readonly job: Job }[];
  /** What it is found from: files and, of them, planes. */
  readonly planes: readonly PlaneRef[];
}

/** One round of looking for places, before the run. */
export interface AlignPhase extends Pick<Plan, "programs" | "resources"> {
  readonly groups: readonly AlignGroup[];
}

/** What it needs of the compiler. */
export interface AlignContext {
  readonly plate: Plate;
  readonly planes: readonly PlaneRef[];
  /** Components that are collapsed before the op. */
  readonly collapsed: ReadonlySet<string>;
  /** Ops before it take images of other channels. */
  readonly acrossChannels: boolean;
  readonly resources: ResourceTable;
  /** The steps up to the op. */
  streams(builder: ProgramBuilder, planes: readonly PlaneRef[]): Stream[];
  intern(builder: ProgramBuilder): number;
}

/** Of the slices of a stack the one in the middle. */
function middleSlice(planes: readonly PlaneRef[]): readonly PlaneRef[] {
  const slices = [...new Set(planes.flatMap((p) => (p.z_index === null ? [] : [p.z_index])))].sort(
    (a, b) => a - b,
  );
  const middle = slices[Math.floor(slices.length / 2)];
  return planes.filter((p) => p.z_index === null || p.z_index === middle);
}

/** Pairs of timepoints or channels that are compared, by index. */
function sequence(count: number, reference: number, previous: boolean): Neighbours[] {
  return Array.from({ length: count }, (_, second) => second)
    .filter((second) => second !== reference)
    .map((second) => ({ first: previous ? second - 1 : reference, second, y: 0, x: 0 }));
}

export function compileAlignPhase(align: AlignOp, context: AlignContext): AlignGroup[] {
  const { plate, planes, collapsed } = context;
  const { op, place } = align;
  const over = overOf(op);
  const where = `step "${place.step}": ${op.name}`;
  const named = op.parameters.channel as number | string | undefined;
  const reference =
    named === undefined ? (plate.channels[0]?.channel ?? 0) : resolveChannel(plate, named, where);
  const groups = new Map<string, PlaneRef[]>();
  for (const p of planes) {
    const key = [
      p.well,
      over === "site" || collapsed.has("site") ? "" : p.site,
      over === "channel" && !collapsed.has("timepoint") ? p.timepoint : "",
    ].join("/");
    const group = groups.get(key);
    if (group) group.push(p);
    else groups.set(key, [p]);
  }
  const found: AlignGroup[] = [];
  for (const group of groups.values()) {
    const compiled = compileGroup(align, context, group, reference);
    if (compiled !== null) found.push(compiled);
  }
  return found;
}

function compileGroup(
  align: AlignOp,
  context: AlignContext,
  group: readonly PlaneRef[],
  reference: number,
): AlignGroup | null {
  const { plate, collapsed, resources } = context;
  const { op, place } = align;
  const over = overOf(op);
  const all = [...new Set(group.map((p) => p[over]))].sort((a, b) => a - b);
  const first = Math.min(...group.filter((p) => p.channel === reference).map((p) => p.timepoint));
  const planesOf = (member: number): readonly PlaneRef[] => {
    const channel = over === "channel" ? member : reference;
    const mine = group.filter(
      (p) =>
        (over === "channel" || p[over] === member) &&
        (context.acrossChannels || p.channel === channel) &&
        (over !== "site" || collapsed.has("timepoint") || p.timepoint === first),
    );
    if (!mine.some((p) => p.channel === channel)) return [];
    return collapsed.has("z_index") ? mine : middleSlice(mine);
  };
  const members = all.filter((member) => planesOf(member).length > 0);
  const one = members[0];
  if (one === undefined || all.length < 2) return null;

  const resource = resources.reserve();
  const compileMember = (member: number): { stream: Stream; value: Value; job: Job } => {
    const builder = new ProgramBuilder();
    const channel = over === "channel" ? member : reference;
    const stream = context.streams(builder, planesOf(member)).find((s) => s.channel === channel) as Stream;
    checkFit(op, stream, place);
    const value = builder.materialize(stream, place.step);
    builder.run({ op: "align", stage: place.step, in: value.reg, resource });
    return { stream, value, job: jobOfResource(builder, context.intern(builder), stream) };
  };
  const compiled = new Map(members.map((member) => [member, compileMember(member)]));
  const { stream, value } = compiled.get(one) as { stream: Stream; value: Value };
  for (const { stream: s, value: v } of compiled.values()) {
    if (v.height === value.height && v.width === value.width) continue;
    throw new TilecastError(
      "ERR_PIPELINE",
      `step "${place.step}": ${op.name} would align images of ${value.width} x ${value.height} px with ${v.width} x ${v.height} (well ${s.well}, ${over} ${s[over]})`,
      { argument: op.name },
    );
  }
  const expected = expectedOf(align, plate, all, value, stream);
  const pairs = pairsOf(align, all, expected, value, reference).filter(
    ({ first: a, second: b }) => compiled.has(all[a] as number) && compiled.has(all[b] as number),
  );
  const paired = new Set(pairs.flatMap((p) => [p.first, p.second]));
  const aligner: Resource = {
    kind: "aligner",
    height: value.height,
    width: value.width,
    images: all.length,
    pairs,
    reach: (op.parameters.maxShift as number | undefined) ?? Math.max(value.height, value.width) / 20,
  };
  resources.replace(resource, aligner);
  return {
    key: alignmentKey(align, stream),
    over,
    well: stream.well,
    site: over === "site" ? null : stream.site,
    timepoint: over === "channel" ? stream.timepoint : null,
    members: all,
    expected,
    pairs,
    resource,
    jobs: all.flatMap((member, image) => {
      const job = compiled.get(member)?.job;
      return job && paired.has(image) ? [{ image, job }] : [];
    }),
    planes: members.flatMap((member) => planesOf(member)),
  };
}

/** Where a group's images are expected: fields as stage or grid say, others where they are. */
function expectedOf(
  { op, place }: AlignOp,
  plate: Plate,
  members: readonly number[],
  size: Value,
  stream: Stream,
): readonly Point[] {
  if (op.name !== "stitch") return members.map(() => ({ y: 0, x: 0 }));
  const where = `step "${place.step}": stitch`;
  const places = fieldPlaces(plate, op.parameters as GridParameters, size, stream.pixelRatio, where);
  return members.map((member) => places.get(member) as Point);
}

function pairsOf(
  { op }: AlignOp,
  members: readonly number[],
  expected: readonly Point[],
  size: Value,
  reference: number,
): Neighbours[] {
  if (op.name === "stitch") return neighbours(expected, size);
  const at = op.parameters.over === "channel" ? members.indexOf(reference) : 0;
  return at < 0 ? [] : sequence(members.length, at, op.parameters.to === "previous");
}
