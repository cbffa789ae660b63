// SPDX-License-Identifier: MIT
// Catches an error so that a test can look at its code and exact message.

import { TilecastError } from "../../lib/errors.js";

/** The TilecastError that `action` throws or rejects with; fails the test when there is none. */
export async function thrown(action: () => unknown): Promise<TilecastError> {
  try {
    await action();
  } catch (error) {
    if (error instanceof TilecastError) return error;
    throw error;
  }
  throw new Error("expected an error and got none");
}
