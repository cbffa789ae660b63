// SPDX-License-Identifier: MIT
// Servers and viewers of this machine, as a tree that keeps what is open and chosen while it changes; quit and force-quit with confirmation.

import { computed, signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { InstanceTree, ServerAction, ServerNode, TreeNode } from "../../lib/manager/node.js";
import { type TreeRow, TreeView } from "../../lib/manager/tree-view.js";
import { duration } from "../run/run-view.js";
import { instances } from "../state/model.js";
import { AnswerError, base, get, post } from "../state/server.js";

/** Events bring changes; asking finds a server that learnt of instances later. */
const pollMs = 4000;

const answer = signal<"loading" | "absent" | Error | "ready">("loading");
const polled = signal<InstanceTree | undefined>(undefined);
/** The newest of what was asked for and what came by itself. */
const tree = computed<InstanceTree | undefined>(() => {
  const sent = instances.value as InstanceTree | undefined;
  const asked = polled.value;
  if (sent === undefined || asked === undefined) return sent ?? asked;
  return sent.version >= asked.version ? sent : asked;
});

/** What is open and chosen outlives every change of the tree; `turn` makes the page draw it again. */
const opened = new TreeView();
const turn = signal(0);

async function refresh(): Promise<void> {
  try {
    polled.value = await get<InstanceTree>("api/instances");
    answer.value = "ready";
  } catch (error) {
    const absent = error instanceof AnswerError && error.status === 404;
    answer.value = absent ? "absent" : (error as Error);
  }
}

const number = (n: number | null) => (n === null ? "\u2013" : n.toLocaleString("en"));
const megabytes = (n: number | null) => (n === null ? "\u2013" : `${Math.round(n).toLocaleString("en")} MB`);

export function ManagerView() {
  useEffect(() => {
    void refresh();
    const timer = setInterval(() => void refresh(), pollMs);
    return () => clearInterval(timer);
  }, []);
  const state = answer.value;
  const shown = tree.value;
  if (state === "absent")
    return (
      <Note
        title="Servers are not listed here"
        text="This server shows plates only. tilecast ps lists what runs on this machine, and tilecast stop ends it."
      />
    );
  if (state instanceof Error && shown === undefined)
    return <Note title="The list cannot be read" text={state.message} />;
  if (shown === undefined || (!shown.scanned && shown.servers.length === 0))
    return <Note title="Looking for servers" text="" />;
  if (shown.servers.length === 0)
    return (
      <Note
        title="Nothing is running"
        text="Servers and viewers of this machine appear here when they start."
      />
    );
  turn.value;
  opened.update(shown.servers);
  return (
    <div class="manager">
      <h1 class="unseen">Machine</h1>
      {shown.error !== null && (
        <p class="error-line" role="alert">
          The last look failed: {shown.error}
        </p>
      )}
      {/* biome-ignore lint/a11y/noNoninteractiveElementToInteractiveRole: a table whose rows unfold is a treegrid */}
      <table role="treegrid" aria-label="Servers and viewers">
        <thead>
          <tr>
            {["Name", "State", "Port", "Process", "Memory", "Up", "Running", "Queued", "Actions"].map(
              (h, i) => (
                <th scope="col" key={h} class={i > 1 ? "right" : ""}>
                  {h}
                </th>
              ),
            )}
          </tr>
        </thead>
        <tbody>
          {opened.rows().map((row) => (
            <Row key={row.node.key} row={row} />
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

/** What a node says beside its state. */
function detail(node: TreeNode): string {
  if (node.kind === "server") return node.why ?? "";
  if (node.kind === "execution") {
    const { done, total, failed } = node.wells;
    const wells = total > 0 ? `${done} of ${total} wells${failed > 0 ? `, ${failed} failed` : ""}` : "";
    return [node.position === null ? "" : `number ${node.position} in the queue`, wells, node.error ?? ""]
      .filter((t) => t !== "")
      .join("; ");
  }
  if (node.kind === "well") return [node.step ?? "", node.error ?? ""].filter((t) => t !== "").join("; ");
  return "";
}

function Row({ row }: { row: TreeRow }) {
  const { node, depth, isExpanded, isSelected } = row;
  const unfold = (to: boolean) => {
    opened.expand(node.key, to);
    turn.value++;
  };
  const choose = () => {
    opened.select([node.key]);
    turn.value++;
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const self = event.currentTarget as HTMLElement;
    if (event.target !== self) return;
    const acts: Readonly<Record<string, () => void>> = {
      ArrowRight: () => unfold(true),
      ArrowLeft: () => unfold(false),
      ArrowDown: () => (self.nextElementSibling as HTMLElement | null)?.focus(),
      ArrowUp: () => (self.previousElementSibling as HTMLElement | null)?.focus(),
      Enter: choose,
      " ": choose,
    };
    const act = acts[event.key];
    if (act === undefined) return;
    event.preventDefault();
    act();
  };
  const state = node.kind === "server" && node.busy !== null ? `${node.busy} asked` : node.state;
  return (
    <tr
      class={`${isSelected ? "chosen" : ""} ${node.kind}`}
      aria-level={depth + 1}
      aria-expanded={node.children.length > 0 ? isExpanded : undefined}
      aria-selected={isSelected}
      tabIndex={0}
      onClick={choose}
      onKeyDown={onKeyDown}
    >
      <th scope="row" style={{ paddingInlineStart: `${depth * 1.25}rem` }}>
        <button
          type="button"
          class="fold"
          tabIndex={-1}
          disabled={node.children.length === 0}
          aria-label={`${isExpanded ? "Close" : "Open"} ${node.label}`}
          onClick={(e) => {
            e.stopPropagation();
            unfold(!isExpanded);
          }}
        >
          {node.children.length === 0 ? "" : isExpanded ? "\u25be" : "\u25b8"}
        </button>
        {node.label}
      </th>
      <td colSpan={node.kind === "server" ? 1 : 8}>
        <span class={`dot ${node.failed > 0 ? "failed" : node.state}`} aria-hidden="true" /> {state}
        {node.percent !== null && (
          <>
            {" "}
            <progress max={100} value={node.percent} aria-label={`Progress of ${node.label}`} />{" "}
            <span class="number">{node.percent} %</span>
          </>
        )}{" "}
        <span class="quiet">{detail(node)}</span>
      </td>
      {node.kind === "server" && <ServerCells server={node} />}
    </tr>
  );
}

function ServerCells({ server: s }: { server: ServerNode }) {
  const queued = s.queued ?? s.viewer?.queued ?? null;
  return (
    <>
      <td class="right number">{s.port}</td>
      <td class="right number">{s.pid ?? "\u2013"}</td>
      <td class="right number">{megabytes(s.memoryMb)}</td>
      <td class="right number">
        {s.startedAt === null ? "\u2013" : duration(Math.max(0, (Date.now() - s.startedAt) / 1000))}
      </td>
      <td class="right number">{number(s.running)}</td>
      <td class="right number">{number(queued)}</td>
      <td class="right">
        <Actions server={s} />
      </td>
    </>
  );
}

const actionNames: Readonly<Record<ServerAction, string>> = { quit: "Quit", "force-quit": "Force quit" };

function Actions({ server }: { server: ServerNode }) {
  /** What is confirmed is meant for the process that was seen when it was asked, not for the next one at its address. */
  const asking = useSignal<{ how: ServerAction; pid: number | null } | undefined>(undefined);
  const error = useSignal("");
  const path = `api/instances/${encodeURIComponent(server.key)}`;
  if (error.value !== "")
    return (
      <span class="error-line" role="alert">
        {error.value}{" "}
        <button type="button" onClick={() => (error.value = "")}>
          Close
        </button>
      </span>
    );
  if (asking.value === undefined)
    return (
      <span class="actions">
        {server.hasLog && (
          <a class="button" href={new URL(`${path}/log`, base).href} target="_blank" rel="noreferrer">
            Log
          </a>
        )}
        {server.actions.map((action) => (
          <button
            type="button"
            key={action}
            class={action === "force-quit" ? "danger" : ""}
            disabled={server.busy !== null}
            aria-label={`${actionNames[action]} ${server.label}`}
            onClick={() => (asking.value = { how: action, pid: server.pid })}
          >
            {actionNames[action]}
          </button>
        ))}
      </span>
    );
  const { how, pid: meant } = asking.value;
  return (
    <span class="confirm">
      {how === "quit" ? "Work in its queue is lost." : "It is ended at once; what it has not saved is lost."}
      <button
        type="button"
        class="danger"
        onClick={() => {
          asking.value = undefined;
          post(meant === null ? `${path}/${how}` : `${path}/${how}/${meant}`).then(
            () => void refresh(),
            (e: Error) => (error.value = e.message),
          );
        }}
      >
        {actionNames[how]}
      </button>
      {/* biome-ignore lint/a11y/noAutofocus: the safe answer is where the keyboard is */}
      <button type="button" autoFocus onClick={() => (asking.value = undefined)}>
        Keep
      </button>
    </span>
  );
}
