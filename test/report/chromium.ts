// SPDX-License-Identifier: MIT
// Drives a headless Chromium over the DevTools protocol on a pipe: no port, no package.

import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { leftOut } from "../helpers/shared.js";

/** TILECAST_CHROMIUM, else the first of the usual names on PATH; `undefined`, with a printed line, when there is none. */
export function chromium(): string | undefined {
  const named = process.env.TILECAST_CHROMIUM;
  const folders = (process.env.PATH ?? "").split(delimiter);
  const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
  const candidates = named ? [named] : folders.flatMap((f) => names.map((n) => join(f, n)));
  for (const path of candidates) {
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not there: try the next.
    }
  }
  leftOut("the report in a browser", "no Chromium (set TILECAST_CHROMIUM)");
  return undefined;
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}

/** One page of one browser. */
export class Page {
  /** Exceptions, console errors and what the page's policy refused. */
  readonly errors: string[] = [];
  /** Every address that the page asked for. */
  readonly requests: string[] = [];
  private next = 1;
  private session = "";
  private readonly waiting = new Map<
    number,
    { resolve: (r: Record<string, unknown>) => void; reject: (e: Error) => void }
  >();
  private readonly events = new Map<string, () => void>();

  private constructor(private readonly browser: ChildProcess) {
    let rest = "";
    (browser.stdio[4] as Readable).setEncoding("utf8").on("data", (text: string) => {
      const parts = (rest + text).split("\0");
      rest = parts.pop() as string;
      for (const part of parts) this.receive(JSON.parse(part) as Message);
    });
    browser.on("exit", () => {
      for (const { reject } of this.waiting.values()) reject(new Error("Chromium ended"));
    });
  }

  static async open(executable: string, profile: string, width = 1280, height = 900): Promise<Page> {
    const flags = [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--no-first-run",
      "--remote-debugging-pipe",
      `--user-data-dir=${profile}`,
      `--window-size=${width},${height}`,
    ];
    const page = new Page(
      spawn(executable, [...flags, "about:blank"], { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] }),
    );
    const { targetInfos } = (await page.send("Target.getTargets")) as {
      targetInfos: { type: string; targetId: string }[];
    };
    const target = targetInfos.find((t) => t.type === "page")?.targetId;
    page.session = (await page.send("Target.attachToTarget", { targetId: target, flatten: true }))
      .sessionId as string;
    for (const domain of ["Page", "Runtime", "Log", "Network"]) await page.send(`${domain}.enable`);
    return page;
  }

  private receive({ id, method, params, result, error }: Message): void {
    if (id !== undefined) {
      const call = this.waiting.get(id);
      this.waiting.delete(id);
      if (error) call?.reject(new Error(error.message));
      else call?.resolve(result ?? {});
    }
    if (method === "Runtime.exceptionThrown") this.errors.push(JSON.stringify(params?.exceptionDetails));
    if (method === "Runtime.consoleAPICalled" && params?.type === "error")
      this.errors.push(JSON.stringify(params.args));
    if (method === "Log.entryAdded") {
      const entry = params?.entry as { level: string; text: string };
      if (entry.level === "error") this.errors.push(entry.text);
    }
    if (method === "Network.requestWillBeSent")
      this.requests.push((params as { request: { url: string } }).request.url.slice(0, 200));
    if (method !== undefined) this.events.get(method)?.();
  }

  send(method: string, params: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
    const id = this.next++;
    const message = { id, method, params, ...(this.session === "" ? {} : { sessionId: this.session }) };
    (this.browser.stdio[3] as Writable).write(`${JSON.stringify(message)}\0`);
    return new Promise((resolve, reject) => this.waiting.set(id, { resolve, reject }));
  }

  /** Goes to an address and waits for its load event. */
  async goto(url: string): Promise<void> {
    const loaded = new Promise<void>((resolve) => this.events.set("Page.loadEventFired", resolve));
    // A change of the fragment alone would not load the page again.
    await this.send("Page.navigate", { url: "about:blank" });
    await loaded;
    const second = new Promise<void>((resolve) => this.events.set("Page.loadEventFired", resolve));
    await this.send("Page.navigate", { url });
    await second;
  }

  /** The value of a JavaScript expression in the page, as JSON. */
  async evaluate<T>(expression: string): Promise<T> {
    const reply = await this.send("Runtime.evaluate", {
      expression,
      returnByValue: true,
      awaitPromise: true,
    });
    if (reply.exceptionDetails) throw new Error(JSON.stringify(reply.exceptionDetails));
    return (reply.result as { value: T }).value;
  }

  /** Presses and releases a key, e.g. `ArrowRight`, `Enter`. */
  async press(key: string): Promise<void> {
    const code =
      { Enter: 13, Escape: 27, ArrowLeft: 37, ArrowUp: 38, ArrowRight: 39, ArrowDown: 40 }[key] ?? 0;
    const event = {
      key,
      code: key,
      windowsVirtualKeyCode: code,
      ...(key === "Enter" ? { text: "\r" } : {}),
    };
    await this.send("Input.dispatchKeyEvent", { type: "keyDown", ...event });
    await this.send("Input.dispatchKeyEvent", { type: "keyUp", ...event });
  }

  async close(): Promise<void> {
    const ended = new Promise<void>((resolve) => this.browser.once("exit", () => resolve()));
    this.session = "";
    this.send("Browser.close").catch(() => {});
    await ended;
  }
}
