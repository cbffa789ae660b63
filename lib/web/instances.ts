// SPDX-License-Identifier: MIT
// The manager in the gateway: what runs on this machine as JSON and as events, and the controls that end it (docs/gateway.md).

import type { InstanceWatcher, TreeNode } from "../manager/index.js";
import type { Gateway } from "./gateway.js";

/** A tree that was looked at within this is new enough for a GET. */
const freshMs = 1000;

const count = (nodes: readonly TreeNode[]): number =>
  nodes.reduce((sum, node) => sum + 1 + count(node.children), 0);

/**
 * Adds `/api/instances`, its actions and the event `instances`. The watcher looks around only while pages are connected, and once for a
 * GET without any. It is closed with the gateway.
 */
export function addInstances(gateway: Gateway, watcher: InstanceWatcher): void {
  let waiting: NodeJS.Timeout | undefined;
  let published = 0;
  const publish = () => {
    const { tree } = watcher;
    if (waiting !== undefined || gateway.events.clients === 0 || tree.version === published) return;
    published = tree.version;
    gateway.events.publish({ type: "instances", key: "all", ...tree });
    // A plate of 1536 wells is some hundred KiB of text: such a tree goes out every second or two, a small one ten times a second.
    waiting = setTimeout(
      () => {
        waiting = undefined;
        publish();
      },
      Math.min(2000, Math.max(100, count(tree.servers))),
    ).unref();
  };
  watcher.subscribe(publish);
  gateway.events.onAudience = (isThere) => {
    if (!isThere) return void watcher.stop();
    publish();
    watcher.start();
  };

  gateway.query("instances", async ([key, what, ...more]) => {
    if (key === undefined) {
      // A look that fails says so in the tree.
      if (Date.now() - watcher.lookedAt > freshMs) await watcher.refresh().catch(() => undefined);
      return watcher.tree;
    }
    if (what !== "log" || more.length > 0) return undefined;
    const { text, size, isCut } = await watcher.log(key);
    return isCut ? `(the end of ${size} bytes)\n${text}` : text;
  });
  gateway.control("instances", async ([key = "", action, what, ...more]) => {
    if (more.length > 0) return null;
    if (action === "cancel" && what !== undefined)
      return { cancelled: await watcher.cancel(`${key}/${what}`) };
    if (!/^[1-9]\d*$/.test(what ?? "1")) return null;
    const meant = what === undefined ? {} : { pid: Number(what) };
    if (action === "quit") return watcher.quit(key, meant);
    if (action === "force-quit") return watcher.forceQuit(key, meant);
    return null;
  });

  gateway.keep({
    async [Symbol.asyncDispose]() {
      clearTimeout(waiting);
      gateway.events.onAudience = () => {};
      await watcher.close();
    },
  });
}
