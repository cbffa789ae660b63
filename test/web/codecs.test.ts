// SPDX-License-Identifier: MIT
// The page's decoders give what numcodecs had encoded, for every compressor and shuffle that they know, and refuse what is damaged.

import { describe, expect, test } from "vitest";
import { decoders } from "../../web/codecs/decoders.js";
import { needsPeer, python, runPython } from "../helpers/shared.js";

const program = `
import base64, json, sys, numpy as np
from numcodecs import Blosc, LZ4, Zstd
rng = np.random.default_rng(7)
def data(kind, dtype, n):
    if kind == "zero": return np.zeros(n, dtype)
    if kind == "ramp": return (np.arange(n) // 3 % 251).astype(dtype)
    if kind == "noise": return rng.integers(0, 256, n * np.dtype(dtype).itemsize, dtype="u1").view(dtype)
    return (1000 + 200 * np.sin(np.arange(n) / 50) + rng.normal(0, 5, n)).astype(dtype)
text = lambda b: base64.b64encode(bytes(b)).decode()
out = []
def add(name, codec, a):
    out.append({"name": name, "encoded": text(codec.encode(a)), "plain": text(a.tobytes())})
for kind in ["zero", "ramp", "noise", "wave"]:
    for dtype in ["u1", "u2", "i4", "f8"]:
        for n in [1, 7, 1000, 300_001]:
            a = data(kind, dtype, n)
            for cname in ["lz4", "lz4hc", "zstd", "zlib"]:
                for shuffle in [0, 1, 2]:
                    add(f"{cname} {shuffle} {kind} {dtype} {n}", Blosc(cname, 5, shuffle), a) if n < 2000 or (kind == "wave" and cname in ("lz4", "zstd")) else None
            if n < 2000:
                add(f"bare-lz4 {kind} {dtype} {n}", LZ4(), a)
                add(f"bare-zstd {kind} {dtype} {n}", Zstd(3), a)
add("lz4 small blocks", Blosc("lz4", 9, 1, 4096), data("wave", "u2", 100_003))
out.append({"name": "blosclz", "encoded": text(Blosc("blosclz", 5, 1).encode(data("ramp", "u2", 5000))), "plain": ""})
json.dump(out, sys.stdout)
`;

interface Case {
  readonly name: string;
  readonly encoded: string;
  readonly plain: string;
}

const bytes = (text: string) => new Uint8Array(Buffer.from(text, "base64"));

describe("the page's decoders", () => {
  needsPeer(python(), "Python with numcodecs");

  test("decode what numcodecs encodes", async () => {
    const cases = runPython(program) as Case[];
    expect(cases.length).toBeGreaterThan(500);
    for (const { name, encoded, plain } of cases) {
      if (name === "blosclz") {
        await expect(decoders.blosc(bytes(encoded))).rejects.toThrow(
          "Blosc with BloscLZ cannot be shown here",
        );
        continue;
      }
      const decode = name.startsWith("bare-lz4")
        ? decoders.lz4(bytes(encoded))
        : name.startsWith("bare-zstd")
          ? decoders.zstd(bytes(encoded))
          : await decoders.blosc(bytes(encoded));
      expect(Buffer.from(decode).equals(Buffer.from(plain, "base64")), name).toBe(true);
    }
  });

  test("refuse damaged chunks and never give other bytes in silence about their length", async () => {
    const [example] = (runPython(program) as Case[]).filter((c) => c.name === "lz4 1 wave u2 1000");
    const good = bytes((example as Case).encoded);
    for (const length of [0, 8, 15, 16, 20, good.length >> 1, good.length - 1])
      await expect(decoders.blosc(good.subarray(0, length))).rejects.toThrow(RangeError);
  });
});
