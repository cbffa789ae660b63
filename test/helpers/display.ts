// SPDX-License-Identifier: MIT
// An X display of the tests' own (Xvfb), so that viewers can open their windows anywhere.

import { type ChildProcess, spawn } from "node:child_process";
import { ended } from "./ended.js";

export class Display implements AsyncDisposable {
  private constructor(
    readonly child: ChildProcess,
    /** Value of DISPLAY, e.g. `:101`. */
    readonly name: string,
  ) {}

  /** On a number that the server picks. Rejects where Xvfb is not installed. */
  static async open(): Promise<Display> {
    const child = spawn("Xvfb", ["-displayfd", "3", "-screen", "0", "1400x1000x24", "-nolisten", "tcp"], {
      stdio: ["ignore", "ignore", "ignore", "pipe"],
    });
    const number = await new Promise<string>((resolve, reject) => {
      let text = "";
      child.stdio[3]?.on("data", (d) => {
        text += d;
        if (text.includes("\n")) resolve(text.trim());
      });
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`Xvfb ended with ${code}`)));
    });
    return new Display(child, `:${number}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await ended(this.child, () => this.child.kill());
  }
}
