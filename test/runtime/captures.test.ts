// SPDX-License-Identifier: MIT
// Every kind of frame that the real peers were seen to send decodes, and encodes to what Python reads as equal.

import { describe, expect, test } from "vitest";
import { parseJson, stringifyJson } from "../../lib/runtime/json.js";
import { readPickle } from "../../lib/runtime/pickle-reader.js";
import { writePickle } from "../../lib/runtime/pickle-writer.js";
import { needsPeer } from "../helpers/shared.js";
import { jsons, pickles } from "./captures.js";
import { anyPython, PythonWorker } from "./peers.js";

describe("captured frames", () => {
  const path = anyPython();
  needsPeer(path, "Python");

  test("pickles decode, and what is written again is equal for Python", async () => {
    // Stand-ins for classes that this Python lacks: they keep what a class would get, so that two of them compare by content.
    const worker = new PythonWorker(
      path as string,
      `
import sys, json, pickle, base64, io
class Stand(dict):
    def __new__(cls, *a, **k):
        o = dict.__new__(cls); o.args = (a, k); o.state = None; o.items_ = []; return o
    def __init__(self, *a, **k): pass
    def __setstate__(self, s): self.state = s
    def extend(self, x): self.items_.extend(x)
    def append(self, x): self.items_.append(x)
    def __eq__(self, o): return type(self) is type(o) and self.args == o.args and self.state == o.state and dict.__eq__(self, o) and self.items_ == o.items_
    def __hash__(self): return hash(type(self).__qualname__)
classes = {}
class U(pickle.Unpickler):
    def find_class(self, module, name):
        return classes.setdefault((module, name), type(name, (Stand,), {"__module__": module}))
load = lambda b: U(io.BytesIO(base64.b64decode(b))).load()
for line in sys.stdin:
    a, b = (load(x) for x in json.loads(line))
    print(json.dumps(a == b))
`,
    );
    expect(pickles.length).toBeGreaterThan(80);
    for (const frame of pickles) {
      const again = writePickle(readPickle(frame.bytes));
      const question = [frame.bytes, again].map((b) => b.toString("base64"));
      expect(await worker.ask(question), `${frame.from} ${frame.scenario} ${frame.hex}`).toBe(true);
    }
  });

  test("JSON messages parse, and what is written again is equal for Python", async () => {
    const worker = new PythonWorker(
      path as string,
      `
import sys, json
for line in sys.stdin:
    a, b = (json.loads(x) for x in json.loads(line))
    print(json.dumps(a == b))
`,
    );
    expect(jsons.length).toBeGreaterThan(20);
    for (const { text } of jsons) {
      expect(await worker.ask([text, stringifyJson(parseJson(text))]), text).toBe(true);
    }
  });
});
