// SPDX-License-Identifier: MIT
// The page's frame: what is shown, the ways to look at it, the run, the connection.

import { useSignal, useSignalEffect } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { Later } from "./later.js";
import { ManagerView } from "./machine/manager-view.js";
import { PlateView } from "./plate/plate-view.js";
import { RunChip, RunView } from "./run/run-view.js";
import * as address from "./state/address.js";
import { connection } from "./state/events.js";
import { catalogState, fieldPath, run, source, sources, stream, version } from "./state/model.js";
import { selectedObjects, selectedWells } from "./state/objects.js";
import type { SourceDescription } from "./state/types.js";
import { TableView } from "./table/table-view.js";

// The plate is there before what draws images has been read.
const loadImageView = () => import("./image/image-view.js").then((m) => m.ImageView);

const titles: Readonly<Record<address.View, string>> = {
  image: "Image",
  table: "Measurements",
  run: "Run",
  machine: "Machine",
};

function kindOf(s: SourceDescription): string {
  if (s.kind === "image") return "image";
  return s.role === "input" ? "input" : s.live ? "results, live" : "results";
}

export function App() {
  useSignalEffect(() => {
    const name = source.value?.name;
    document.title = name ? `${name} \u2013 tilecast` : "tilecast";
  });
  const all = [...sources.value.values()];
  const shown = source.value;
  return (
    <div class={`page view-${address.view.value}`}>
      <header>
        <span class="wordmark" title={version.value && `tilecast ${version.value}`}>
          tilecast
        </span>
        {all.length > 0 && (
          <select
            class="source"
            aria-label="Plate or image"
            value={shown?.id}
            onChange={(e) => {
              const id = e.currentTarget.value;
              selectedWells.value = new Set();
              selectedObjects.value = [];
              address.go(() => {
                address.sourceId.value = id;
                address.hidden.value = [];
                address.slice.value = 0;
              }, true);
            }}
          >
            {all.map((s) => (
              <option value={s.id} key={s.id}>
                {s.name} ({kindOf(s)})
              </option>
            ))}
          </select>
        )}
        <nav aria-label="Views">
          {address.views.map((v) => (
            <button
              type="button"
              key={v}
              aria-current={address.view.value === v ? "page" : undefined}
              onClick={() => address.go(() => (address.view.value = v), v !== address.view.value)}
            >
              {titles[v]}
            </button>
          ))}
        </nav>
        <span class="space" />
        {run.value && <RunChip run={run.value} />}
        <ConnectionMark />
      </header>
      <Disconnected />
      <Body />
    </div>
  );
}

function Body() {
  const state = catalogState.value;
  if (address.view.value === "machine")
    return (
      <main>
        <ManagerView />
      </main>
    );
  if (state === "loading") return <Message title="Loading" text="Asking the server what there is." />;
  if (state instanceof Error)
    return (
      <Message title="The plate cannot be shown" text={state.message}>
        <button type="button" onClick={() => location.reload()}>
          Try again
        </button>
      </Message>
    );
  const shown = source.value;
  if (shown === undefined)
    return (
      <Message
        title="No plate is open"
        text="A plate or an image appears here when it is opened with tilecast view PATH, or when a run with --view web begins."
      />
    );
  return (
    <>
      <aside class="side">
        {shown.kind === "plate" && <PlateView />}
        <Facts />
      </aside>
      <main>
        {address.view.value === "image" &&
          (fieldPath.value === undefined ? (
            <Message title="No image" text="There are no fields in it." />
          ) : (
            <Later load={loadImageView} fallback={<Message title="Loading" text="The image viewer." />} />
          ))}
        {address.view.value === "table" && <TableView />}
        {address.view.value === "run" && <RunView />}
      </main>
    </>
  );
}

/** What the plate or the image is, in a few lines. */
function Facts() {
  const s = source.value;
  if (s === undefined) return null;
  const fields = Object.values(s.fields).reduce((n, f) => n + f.length, 0);
  const facts: [string, string][] = [
    ...(s.kind === "image"
      ? []
      : [["Wells", `${Object.keys(s.fields).length} of ${s.rows * s.columns}`] as [string, string]]),
    ...(s.kind === "image" && fields === 1
      ? []
      : [["Fields", fields.toLocaleString("en")] as [string, string]]),
    ["Channels", s.channels.map((c) => c.name).join(", ")],
    ...(s.slices > 1 ? [["Slices", String(s.slices)] as [string, string]] : []),
    ...(s.timepoints > 1 ? [["Timepoints", String(s.timepoints)] as [string, string]] : []),
    ["Pixel", s.pixelSize ? `${s.pixelSize[1]} \u00b5m` : "size not known"],
  ];
  return (
    <dl class="facts">
      {facts.map(([name, text]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{text}</dd>
        </div>
      ))}
    </dl>
  );
}

export function Message(props: { title: string; text: string; children?: ComponentChildren }) {
  return (
    <div class="message" role="status">
      <h1>{props.title}</h1>
      <p>{props.text}</p>
      {props.children}
    </div>
  );
}

function ConnectionMark() {
  const { kind } = connection.value;
  const text = kind === "open" ? "live" : kind === "connecting" ? "connecting" : "not connected";
  return (
    <span class={`connection ${kind}`} role="status">
      <i aria-hidden="true" />
      {text}
    </span>
  );
}

function Disconnected() {
  const now = useSignal(Date.now());
  const state = connection.value;
  useSignalEffect(() => {
    if (connection.value.kind !== "waiting") return;
    const timer = setInterval(() => (now.value = Date.now()), 500);
    return () => clearInterval(timer);
  });
  if (state.kind !== "waiting") return null;
  const seconds = Math.max(0, Math.ceil((state.retryAt - now.value) / 1000));
  return (
    <div class="banner" role="alert">
      {state.expired
        ? "This address is no longer valid: the server was started anew. Open the address that it printed."
        : `The server does not answer. What is shown may be old. Trying again ${seconds > 0 ? `in ${seconds} s` : "now"}.`}
      <button type="button" onClick={() => stream.retry()}>
        Try now
      </button>
    </div>
  );
}
