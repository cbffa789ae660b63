// SPDX-License-Identifier: MIT
// How a run goes: its state, speed and time left, where the time goes, what failed and why; and a way to stop it.

import { useSignal } from "@preact/signals";
import { format } from "../plate/color-map.js";
import * as address from "../state/address.js";
import { links, run as shownRun, source, tileCount } from "../state/model.js";
import { post } from "../state/server.js";
import type { RunPhase, RunState, Timing } from "../state/types.js";

const phases: Readonly<Record<RunPhase, string>> = {
  estimating: "Estimating",
  running: "Running",
  complete: "Complete",
  incomplete: "Incomplete",
  cancelled: "Cancelled",
  failed: "Failed",
};

const goesOn = (run: RunState) => run.state === "running" || run.state === "estimating";

export function duration(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

function part(run: RunState): number {
  const { planesDone = 0, planesFailed = 0, planesTotal = 0 } = run;
  return planesTotal > 0 ? Math.min(1, (planesDone + planesFailed) / planesTotal) : 0;
}

/** The run in the header, from every view. */
export function RunChip({ run }: { run: RunState }) {
  const percent = Math.floor(part(run) * 100);
  return (
    <button
      type="button"
      class={`run-chip ${run.state}`}
      onClick={() => address.go(() => (address.view.value = "run"), true)}
    >
      <span>{phases[run.state]}</span>
      {goesOn(run) && (
        <>
          <progress max={100} value={percent} aria-label="Progress of the run" />
          <span class="number">{percent} %</span>
          {run.secondsLeft != null && <span class="number quiet">{duration(run.secondsLeft)} left</span>}
        </>
      )}
    </button>
  );
}

export function RunView() {
  const run = shownRun.value;
  if (run === undefined)
    return (
      <div class="message" role="status">
        <h1>No run</h1>
        <p>What is shown was not made by a run, or its report is not beside it.</p>
      </div>
    );
  const { planesDone = 0, planesFailed = 0, planesTotal = 0, wellsDone, wellsTotal } = run;
  const facts: [string, string, string?][] = [
    ["Planes", planesDone.toLocaleString("en"), `of ${planesTotal.toLocaleString("en")}`],
    ["Failed", planesFailed.toLocaleString("en")],
    ...(wellsTotal === undefined
      ? []
      : [["Wells", String(wellsDone ?? 0), `of ${wellsTotal}`] as [string, string, string]]),
    ...(goesOn(run)
      ? ([
          ["Speed", format(run.planesPerSecond), "planes/s"],
          ["", format(run.megabytesPerSecond), "MB/s"],
          ["Time left", run.secondsLeft == null ? "\u2013" : duration(run.secondsLeft)],
        ] as [string, string, string?][])
      : run.seconds
        ? ([
            ["Speed", format(planesDone / run.seconds), "planes/s"],
            ["", format((run.megabytesRead ?? 0) / run.seconds), "MB/s"],
          ] as [string, string, string?][])
        : []),
    ["Time", duration(run.seconds ?? 0)],
    ...(tileCount.value > 0
      ? [["Planes shown live", tileCount.value.toLocaleString("en")] as [string, string]]
      : []),
  ];
  return (
    <div class="run-view">
      <div class="run-head">
        <h1 class={`phase ${run.state}`}>{phases[run.state]}</h1>
        <span class="quiet">{source.value?.name}</span>
        <span class="space" />
        {goesOn(run) && links.value.has(run.run) && <Cancel id={run.run} />}
      </div>
      <progress
        class={`run-bar ${run.state}`}
        max={1}
        value={part(run)}
        aria-label={`${Math.floor(part(run) * 100)} % of the planes`}
      />
      <dl class="numbers">
        {facts.map(([name, value, unit], i) => (
          <div key={i}>
            <dt>{name}</dt>
            <dd>
              <b>{value}</b> {unit}
            </dd>
          </div>
        ))}
      </dl>
      <Timings timings={run.timings ?? []} going={goesOn(run)} />
      <Failures run={run} />
    </div>
  );
}

function Timings({ timings, going }: { timings: readonly Timing[]; going: boolean }) {
  const sorted = [...timings].sort((a, b) => b.seconds - a.seconds);
  const total = sorted.reduce((sum, t) => sum + t.seconds, 0);
  return (
    <section>
      <h2>Where the time goes</h2>
      {sorted.length === 0 ? (
        <p class="quiet">
          {going ? "Times of the steps come when the run has ended." : "The run says nothing of its steps."}
        </p>
      ) : (
        <table class="timings">
          <thead>
            <tr>
              <th scope="col">Step</th>
              <th scope="col">Operation</th>
              <th scope="col" class="right">
                Thread time
              </th>
              <th scope="col" class="right">
                Part
              </th>
              <td />
            </tr>
          </thead>
          <tbody>
            {sorted.map((t) => (
              <tr key={`${t.stage}/${t.op}`}>
                <td>{t.stage}</td>
                <td>{t.op.replaceAll("_", " ")}</td>
                <td class="right number">
                  {t.seconds < 1 ? `${(t.seconds * 1000).toFixed(1)} ms` : duration(t.seconds)}
                </td>
                <td class="right number">{((100 * t.seconds) / total).toFixed(1)} %</td>
                <td class="bar" aria-hidden="true">
                  <i style={{ width: `${(100 * t.seconds) / total}%` }} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

function Failures({ run }: { run: RunState }) {
  const failures = run.failures ?? [];
  return (
    <section>
      <h2>Failures</h2>
      {failures.length === 0 ? (
        <p class="quiet">None.</p>
      ) : (
        <ul class="failures">
          {failures.map((f) => (
            <li key={`${f.well}/${f.site}/${f.channel}/${f.timepoint}/${f.message}`}>
              {f.well !== undefined && (
                <button
                  type="button"
                  class="link"
                  onClick={() =>
                    address.go(() => {
                      address.well.value = f.well ?? "";
                      address.field.value = Math.max(
                        0,
                        source.value?.sites[f.well ?? ""]?.indexOf(f.site ?? 0) ?? 0,
                      );
                      address.view.value = "image";
                    }, true)
                  }
                >
                  {f.well} site {f.site} channel {f.channel}
                </button>
              )}
              <span>{f.message}</span>
              {f.code !== undefined && <code>{f.code}</code>}
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function Cancel({ id }: { id: string }) {
  const state = useSignal<"idle" | "asking" | "sent" | Error>("idle");
  const now = state.value;
  if (now === "idle")
    return (
      <button type="button" class="danger" onClick={() => (state.value = "asking")}>
        Cancel run
      </button>
    );
  if (now === "asking")
    return (
      // biome-ignore lint/a11y/useSemanticElements: a fieldset would need a frame of its own
      <span class="confirm" role="group" aria-label="Cancel the run?">
        Wells that are not complete are lost.
        <button
          type="button"
          class="danger"
          onClick={() => {
            state.value = "sent";
            post(`api/runs/${id}/cancel`).catch((error: Error) => (state.value = error));
          }}
        >
          Cancel it
        </button>
        {/* biome-ignore lint/a11y/noAutofocus: the safe answer is where the keyboard is */}
        <button type="button" autoFocus onClick={() => (state.value = "idle")}>
          Go on
        </button>
      </span>
    );
  if (now === "sent") return <span class="quiet">Cancelling: planes that were begun are finished</span>;
  return (
    <span class="error-line" role="alert">
      {now.message}
      <button type="button" onClick={() => (state.value = "idle")}>
        Close
      </button>
    </span>
  );
}
