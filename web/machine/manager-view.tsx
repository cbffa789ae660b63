// SPDX-License-Identifier: MIT
// Servers and viewers of this machine, as a tree that keeps what is open and chosen while it changes; quit and force-quit with confirmation.

import { computed, signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { instances } from "../state/model.js";
import { AnswerError, get, post } from "../state/server.js";

/** Work below a server: plate, worker, well, step. */
export interface WorkNode {
  readonly key: string;
  readonly name: string;
  readonly state: string;
  /** 0 to 1. */
  readonly progress?: number | null;
  readonly detail?: string;
  readonly children?: readonly WorkNode[];
}

/** What `/api/instances` says of one server; null is unknown. */
export interface Instance {
  readonly key: string;
  readonly port: number;
  readonly app: string | null;
  readonly version: string | null;
  readonly server: string | null;
  readonly role: string | null;
  readonly state: string;
  readonly why?: string | null;
  readonly pid: number | null;
  readonly uptimeSeconds: number | null;
  readonly memoryBytes?: number | null;
  readonly cpuPercent?: number | null;
  readonly running: number | null;
  readonly queued: number | null;
  readonly logFile?: string | null;
  readonly children?: readonly WorkNode[];
}

const pollMs = 2000;
const answer = signal<"loading" | "absent" | Error | "ready">("loading");
const polled = signal<readonly Instance[]>([]);
const closed = signal<ReadonlySet<string>>(new Set());
const chosen = signal("");

const listed = (value: unknown): readonly Instance[] | undefined => {
  const list = Array.isArray(value) ? value : (value as { instances?: unknown } | undefined)?.instances;
  return Array.isArray(list) ? (list as Instance[]) : undefined;
};

const all = computed(() => listed(instances.value) ?? polled.value);

async function refresh(): Promise<void> {
  try {
    polled.value = listed(await get("api/instances")) ?? [];
    answer.value = "ready";
  } catch (error) {
    const absent = error instanceof AnswerError && error.status === 404;
    answer.value = absent ? "absent" : (error as Error);
  }
}

const number = (n: number | null | undefined) => (n === null || n === undefined ? "\u2013" : n.toLocaleString("en"));
const megabytes = (n: number | null | undefined) =>
  n === null || n === undefined ? "\u2013" : `${Math.round(n / 2 ** 20).toLocaleString("en")} MiB`;

function uptime(seconds: number | null): string {
  if (seconds === null) return "\u2013";
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function ManagerView() {
  useEffect(() => {
    void refresh();
    // Events bring what changes; asking finds what they do not say, and a server that learnt of instances later.
    const timer = setInterval(() => void refresh(), pollMs);
    return () => clearInterval(timer);
  }, []);
  const state = answer.value;
  if (state === "loading") return <Note title="Looking for servers" text="" />;
  if (state === "absent")
    return (
      <Note
        title="Servers are not listed here"
        text="This server shows plates only. tilecast ps lists what runs on this machine, and tilecast stop ends it."
      />
    );
  if (state instanceof Error) return <Note title="The list cannot be read" text={state.message} />;
  if (all.value.length === 0)
    return <Note title="Nothing is running" text="Servers and viewers of this machine appear here when they start." />;
  return (
    <div class="manager">
      <table>
        <thead>
          <tr>
            {["Server", "State", "Port", "Process", "Memory", "Up", "Running", "Queued", ""].map((h, i) => (
              <th scope="col" key={h} class={i > 1 && i < 8 ? "right" : ""}>
                {h}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {all.value.map((i) => (
            <InstanceRows key={i.key} instance={i} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Note({ title, text }: { title: string; text: string }) {
  return (
    <div class="message" role="status">
      <h1>{title}</h1>
      <p>{text}</p>
    </div>
  );
}

function toggle(key: string): void {
  const next = new Set(closed.value);
  if (!next.delete(key)) next.add(key);
  closed.value = next;
}

function Fold({ id, name, children }: { id: string; name: string; children: number }) {
  if (children === 0) return <span class="fold" />;
  const open = !closed.value.has(id);
  return (
    <button
      type="button"
      class="fold"
      aria-expanded={open}
      aria-label={`${open ? "Close" : "Open"} ${name}`}
      onClick={() => toggle(id)}
    >
      {open ? "\u25be" : "\u25b8"}
    </button>
  );
}

function InstanceRows({ instance: i }: { instance: Instance }) {
  const children = i.children ?? [];
  const name = [i.app, i.server ?? i.role, i.version].filter((t) => t).join(" ") || `port ${i.port}`;
  return (
    <>
      <tr class={chosen.value === i.key ? "chosen" : ""} onClick={() => (chosen.value = i.key)}>
        <th scope="row">
          <Fold id={i.key} name={name} children={children.length} />
          {name}
        </th>
        <td>
          <span class={`dot ${i.state}`} aria-hidden="true" /> {i.state}
          {i.why ? <span class="quiet"> {i.why}</span> : null}
        </td>
        <td class="right number">{i.port}</td>
        <td class="right number">{i.pid ?? "\u2013"}</td>
        <td class="right number">{megabytes(i.memoryBytes)}</td>
        <td class="right number">{uptime(i.uptimeSeconds)}</td>
        <td class="right number">{number(i.running)}</td>
        <td class="right number">{number(i.queued)}</td>
        <td class="right">
          <Quit instance={i} name={name} />
        </td>
      </tr>
      {!closed.value.has(i.key) && children.map((n) => <WorkRows key={n.key} node={n} parent={i.key} depth={1} />)}
    </>
  );
}

function WorkRows({ node, parent, depth }: { node: WorkNode; parent: string; depth: number }) {
  const id = `${parent}/${node.key}`;
  const children = node.children ?? [];
  return (
    <>
      <tr class="work">
        <th scope="row" style={{ paddingInlineStart: `${0.5 + depth * 1.25}rem` }}>
          <Fold id={id} name={node.name} children={children.length} />
          {node.name}
        </th>
        <td>
          <span class={`dot ${node.state}`} aria-hidden="true" /> {node.state}
        </td>
        <td colSpan={6}>
          {node.progress != null && <progress max={1} value={node.progress} aria-label={`Progress of ${node.name}`} />}
          <span class="quiet"> {node.detail}</span>
        </td>
        <td />
      </tr>
      {!closed.value.has(id) && children.map((n) => <WorkRows key={n.key} node={n} parent={id} depth={depth + 1} />)}
    </>
  );
}

function Quit({ instance, name }: { instance: Instance; name: string }) {
  const asking = useSignal<"" | "quit" | "force-quit">("");
  const error = useSignal("");
  const act = (how: "quit" | "force-quit") => {
    asking.value = "";
    post(`api/instances/${encodeURIComponent(instance.key)}/${how}`).then(
      () => void refresh(),
      (e: Error) => (error.value = e.message),
    );
  };
  if (error.value !== "")
    return (
      <span class="error-line" role="alert">
        {error.value}{" "}
        <button type="button" onClick={() => (error.value = "")}>
          Close
        </button>
      </span>
    );
  if (asking.value === "")
    return (
      <span class="actions">
        {instance.logFile && (
          <a href={`api/instances/${encodeURIComponent(instance.key)}/log`} target="_blank" rel="noreferrer">
            Log
          </a>
        )}
        <button type="button" onClick={() => (asking.value = "quit")} aria-label={`Quit ${name}`}>
          Quit
        </button>
        <button
          type="button"
          class="danger"
          onClick={() => (asking.value = "force-quit")}
          aria-label={`Force ${name} to quit`}
        >
          Force quit
        </button>
      </span>
    );
  const how = asking.value;
  return (
    <span class="confirm">
      {how === "quit" ? "Work in its queue is lost." : "It is ended at once; what it has not saved is lost."}
      <button type="button" class="danger" onClick={() => act(how)}>
        {how === "quit" ? "Quit" : "Force quit"}
      </button>
      {/* biome-ignore lint/a11y/noAutofocus: the safe answer is where the keyboard is */}
      <button type="button" autoFocus onClick={() => (asking.value = "")}>
        Keep
      </button>
    </span>
  );
}
