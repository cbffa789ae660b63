// SPDX-License-Identifier: MIT
// The manager in the gateway: what runs on this machine as JSON and as events, and the controls that end it (docs/gateway.md).

import type { InstanceTree, InstanceWatcher, TreeNode } from "../manager/index.js";
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
  const publish = (instances: InstanceTree) => {
    gateway.events.publish({ type: "instances", key: "all", ...instances });
    // A plate of 1536 wells is some hundred KiB of text: such a tree goes out every second or two, a small one ten times a second.
    const pauseMs = Math.max(100, count(instances.servers));
    waiting = setTimeout(() => {
      waiting = undefined;
      if (watcher.tree.version !== instances.version) publish(watcher.tree);
    }, pauseMs).unref();
  };
  watcher.subscribe(({ tree }) => {
    if (waiting === undefined && gateway.events.clients > 0) publish(tree);
  });
  gateway.events.onAudience = (isThere) => {
    if (isThere) watcher.start();
    else void watcher.stop();
  };
  if (gateway.events.clients > 0) watcher.start();

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
  gateway.control("instances", async ([key = "", action, execution, ...more]) => {
    if (action === "quit" && execution === undefined) return watcher.quit(key);
    if (action === "force-quit" && execution === undefined) return watcher.forceQuit(key);
    if (action === "cancel" && execution !== undefined && more.length === 0)
      return { cancelled: await watcher.cancel(`${key}/${execution}`) };
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
