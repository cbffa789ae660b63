// SPDX-License-Identifier: MIT
// What is known of one execution, from its events, its server's pong and its record; and the nodes that show it.

import type { ExecutionRecord, ReceivedProgress } from "../runtime/index.js";
import { asDict } from "../runtime/message-schema.js";
import { finish } from "./aggregate.js";
import type { ExecutionNode, ExecutionState, StepNode, WellNode, WellState, WorkerNode } from "./node.js";

/** More than a plate has; what a peer invents beyond is not kept. */
const maxWells = 10_000;
const maxSteps = 200;
const maxText = 2000;

interface Well {
  state: WellState;
  /** Null: not counted. */
  percent: number | null;
  /** Of all steps, how many are done, as far as the events count steps. */
  completed: number;
  total: number;
  step: string | null;
  stepPercent: number | null;
  error: string | null;
  /** As it was last shown; null when something has happened since. Most wells of a plate wait or are done. */
  node: WellNode | null;
}

const clip = (text: string): string => (text.length > maxText ? `${text.slice(0, maxText)}…` : text);
const ended: ReadonlySet<ExecutionState> = new Set(["compiled", "complete", "failed", "cancelled", "ended"]);
const isOver = (state: WellState) => state === "done" || state === "failed" || state === "cancelled";
const failing = (event: ReceivedProgress) =>
  event.phase === "failed" ||
  event.phase === "axis_error" ||
  event.status === "failed" ||
  event.status === "error";
const cancelling = (event: ReceivedProgress) => event.phase === "cancelled" || event.status === "cancelled";
const milliseconds = (seconds: number | null | undefined): number | null =>
  seconds === null || seconds === undefined || !(seconds > 0) ? null : Math.round(seconds * 1000);

/** The last part of a path; anything else as it is. */
function plateLabel(plateId: string): string {
  const parts = plateId.split(/[\\/]/).filter((part) => part !== "");
  return clip(parts.at(-1) ?? plateId);
}

/** `{"worker_0": ["A01", ...]}`; undefined for anything else. */
function assignmentsOf(value: unknown): Map<string, readonly string[]> | undefined {
  const dict = asDict(value);
  if (dict === undefined) return undefined;
  const slots = new Map<string, readonly string[]>();
  for (const [slot, wells] of Object.entries(dict)) {
    if (!Array.isArray(wells)) return undefined;
    slots.set(slot, wells.map(String).slice(0, maxWells));
  }
  return slots;
}

export class ExecutionEntry {
  #plateId = "";
  #compileOnly = false;
  #state: ExecutionState = "queued";
  #position: number | null = null;
  #startedAt: number | null = null;
  #endedAt: number | null = null;
  #error: string | null = null;
  /** The plate's own counts, while it is compiled and while it runs. */
  #compiled: number | null = null;
  #percent: number | null = null;
  #steps: readonly string[] = [];
  readonly #wells = new Map<string, Well>();
  #slots: ReadonlyMap<string, readonly string[]> = new Map();
  /** Whether it has got beyond compiling. */
  #hasRun = false;
  /** Whether a whole assignment came, which claims must agree with. */
  #isAssigned = false;

  constructor(readonly id: string) {}

  get state(): ExecutionState {
    return this.#state;
  }
  get isEnded(): boolean {
    return ended.has(this.#state);
  }
  get endedAt(): number {
    return this.#endedAt ?? 0;
  }
  get position(): number {
    return this.#position ?? 0;
  }

  queued(plateId: string, position: number): void {
    this.#plateId ||= plateId;
    if (this.#state === "queued") this.#position = position;
  }

  running(plateId: string, startTime: number, compileOnly: boolean): void {
    this.#plateId ||= plateId;
    this.#compileOnly = compileOnly;
    if (this.isEnded) return;
    this.#startedAt = milliseconds(startTime) ?? this.#startedAt;
    this.#position = null;
    if (this.#state === "queued") this.#state = compileOnly ? "compiling" : "running";
  }

  /** How the server has it; one that has ended there has ended. */
  record(record: ExecutionRecord): void {
    this.#plateId ||= record.plate_id;
    this.#compileOnly ||= record.compile_only;
    this.#startedAt = milliseconds(record.start_time) ?? this.#startedAt;
    const { status } = record;
    if (status === "failed" || status === "cancelled") this.#end(status, record.end_time, record.error);
    else if (status === "complete" || status === "completed") this.#end("complete", record.end_time);
  }

  /** The server does not know it any more. */
  lost(): void {
    if (!this.isEnded) this.#end("ended", null);
  }

  #end(how: ExecutionState, time: number | null, error?: string | null): void {
    this.#state = how === "complete" && this.#compileOnly ? "compiled" : how;
    this.#position = null;
    this.#endedAt = milliseconds(time) ?? this.#endedAt;
    if (error) this.#error = clip(error);
    if (how === "complete") this.#percent = 100;
    this.#redraw();
    for (const well of this.#wells.values()) {
      if (isOver(well.state)) continue;
      // An event that was lost does not leave a well running in an execution that is complete.
      if (how === "complete") {
        well.state = this.#compileOnly ? "compiled" : "done";
        well.percent = 100;
      } else if (how !== "ended") well.state = "cancelled";
    }
  }

  /** Takes a new event; false when it contradicts what is known of the workers, and then nothing has changed. */
  event(event: ReceivedProgress): boolean {
    if (this.isEnded) return false;
    const assigned = assignmentsOf(event.worker_assignments);
    if (assigned !== undefined) {
      this.#slots = assigned;
      this.#isAssigned = true;
    }
    const { worker_slot: slot, owned_wells: owned } = event;
    if (slot !== undefined && owned !== undefined && !this.#claim(slot, owned)) return false;
    this.#plateId ||= event.plate_id;
    if (event.step_names !== undefined) {
      this.#steps = event.step_names.slice(0, maxSteps).map(clip);
      this.#redraw();
    }
    for (const well of event.total_wells ?? [...(assigned?.values() ?? [])].flat()) this.#well(well);
    this.#startedAt ??= milliseconds(event.timestamp);
    this.#position = null;
    if (event.axis_id === "") this.#plateEvent(event);
    else {
      const well = this.#well(event.axis_id);
      if (well !== undefined) {
        this.#wellEvent(well, event);
        well.node = null;
      }
      if (event.phase === "compile") this.#compiles();
      else if (event.phase !== "init") this.#runs();
    }
    return true;
  }

  #compiles(): void {
    if (!this.#hasRun) this.#state = "compiling";
  }

  #runs(): void {
    if (!this.#hasRun) this.#redraw();
    this.#hasRun = true;
    this.#state = "running";
  }

  #redraw(): void {
    for (const well of this.#wells.values()) well.node = null;
  }

  #claim(slot: string, owned: readonly string[]): boolean {
    const known = this.#slots.get(slot);
    if (this.#isAssigned)
      return known !== undefined && [...known].sort().join("\0") === [...owned].sort().join("\0");
    if (known === undefined) this.#slots = new Map([...this.#slots, [slot, owned.slice(0, maxWells)]]);
    return true;
  }

  #well(name: string): Well | undefined {
    let well = this.#wells.get(name);
    if (well === undefined && this.#wells.size < maxWells) {
      well = {
        ...{ state: "queued", percent: 0, completed: 0, total: 0 },
        ...{ step: null, stepPercent: null, error: null, node: null },
      };
      this.#wells.set(name, well);
    }
    return well;
  }

  #plateEvent(event: ReceivedProgress): void {
    const { phase, percent } = event;
    if (cancelling(event)) this.#end("cancelled", event.timestamp, event.error);
    else if (failing(event)) this.#end("failed", event.timestamp, event.error ?? event.message);
    else if (phase === "success") this.#end("complete", event.timestamp);
    else if (phase === "compile") {
      this.#compiled = percent;
      this.#compiles();
    } else if (phase !== "init" && phase !== "queued") {
      this.#percent = percent;
      this.#runs();
    }
  }

  #wellEvent(well: Well, event: ReceivedProgress): void {
    const { phase, percent, step_name: step } = event;
    if (phase === "pattern_group") {
      // A step's clock is not the well's: what comes after the well's end is late.
      if (isOver(well.state)) return;
      if (well.state !== "running") Object.assign(well, { state: "running", percent: 0 });
      well.step = clip(step) || well.step;
      well.stepPercent = percent;
      return;
    }
    const isCompile = phase === "compile";
    if (cancelling(event)) well.state = "cancelled";
    else if (failing(event)) {
      well.state = "failed";
      well.error = clip(event.error ?? event.message ?? "no reason given");
    } else if (phase === "axis_completed" || phase === "success") well.state = "done";
    else if (isCompile) well.state = event.status === "success" || percent === 100 ? "compiled" : "compiling";
    else well.state = phase === "init" || phase === "queued" ? well.state : "running";
    well.percent = well.state === "done" ? 100 : percent;
    if (isCompile) return;
    if (step !== "" && step !== well.step) Object.assign(well, { step: clip(step), stepPercent: null });
    [well.completed, well.total] = [event.completed, event.total];
  }

  node(serverKey: string): ExecutionNode {
    const key = `${serverKey}/${this.id}`;
    const wells = new Map<string, WellNode>();
    for (const [name, well] of this.#wells) {
      well.node ??= this.#wellNode(key, name, well);
      wells.set(name, well.node);
    }
    const placed = new Set<string>();
    const children: (WorkerNode | WellNode)[] = [];
    for (const [slot, names] of this.#slots) {
      const own = names.flatMap((name) => {
        const node = wells.get(name);
        if (node === undefined || placed.has(name)) return [];
        placed.add(name);
        return [node];
      });
      if (own.length > 0) children.push(workerNode(`${key}/worker/${slot}`, slot, own));
    }
    for (const [name, node] of wells) if (!placed.has(name)) children.push(node);
    const all = [...wells.values()];
    return finish<ExecutionNode>(
      {
        kind: "execution",
        key,
        label: plateLabel(this.#plateId) || this.id,
        executionId: this.id,
        plateId: this.#plateId,
        state: this.#state,
        position: this.#position,
        compileOnly: this.#compileOnly,
        startedAt: this.#startedAt,
        endedAt: this.#endedAt,
        error: this.#error,
        wells: {
          total: all.length,
          done: all.filter((well) => well.state === "done").length,
          failed: all.filter((well) => well.state === "failed").length,
        },
      },
      {
        percent: this.#state === "compiling" ? this.#compiled : this.#percent,
        failed: this.#state === "failed",
      },
      children,
    );
  }

  #wellNode(executionKey: string, name: string, well: Well): WellNode {
    const key = `${executionKey}/well/${name}`;
    const { step, error } = well;
    // Once wells run, having been compiled is no progress any more.
    const waits = this.#hasRun && !this.isEnded && (well.state === "compiling" || well.state === "compiled");
    const [state, percent] = waits ? (["queued", 0] as const) : [well.state, well.percent];
    return finish<WellNode>(
      { kind: "well", key, label: name, well: name, state, step, error },
      { percent, failed: state === "failed" },
      this.#stepNodes(key, well),
    );
  }

  #stepNodes(key: string, well: Well): StepNode[] {
    if (well.state !== "running" && well.state !== "failed") return [];
    const named = well.step === null ? -1 : this.#steps.indexOf(well.step);
    // Events that count something else than steps, such as planes, tell nothing of where the well is.
    const counted = well.total === this.#steps.length ? well.completed : -1;
    const current = named >= 0 ? named : counted;
    const names = current >= 0 ? this.#steps : well.step === null ? [] : [well.step];
    const at = Math.max(0, current);
    return names.map((label, index) => {
      const isFailed = index === at && well.state === "failed";
      const state = index < at ? "done" : index > at ? "queued" : isFailed ? "failed" : "running";
      return finish<StepNode>(
        { kind: "step", key: `${key}/step/${index}`, label, index, state },
        { percent: index < at ? 100 : index > at ? 0 : well.stepPercent, failed: isFailed },
        [],
      );
    });
  }
}

function workerNode(key: string, slot: string, wells: readonly WellNode[]): WorkerNode {
  const isQueued = wells.every((well) => well.state === "queued");
  const state = isQueued ? "queued" : wells.every((well) => isOver(well.state)) ? "done" : "running";
  return finish<WorkerNode>({ kind: "worker", key, label: slot, state }, {}, wells);
}
