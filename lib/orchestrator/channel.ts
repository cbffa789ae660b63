// SPDX-License-Identifier: MIT
// Finds the channel that a pipeline names.

import { TilecastError } from "../errors.js";
import type { Plate } from "../plates/plate.js";

/** A channel by number or name. Throws ERR_PIPELINE naming the plate's channels. */
export function resolveChannel(plate: Plate, key: number | string, where: string): number {
  const found = plate.channels.find(
    (c) =>
      String(c.channel) === String(key) ||
      (c.name !== null && c.name.toLowerCase() === String(key).toLowerCase()),
  );
  if (found === undefined) {
    const known = plate.channels.map((c) => (c.name === null ? `${c.channel}` : `${c.channel} (${c.name})`));
    throw new TilecastError(
      "ERR_PIPELINE",
      `${where} names channel "${key}", which plate ${plate.name} does not have; it has ${known.join(", ")}`,
      { argument: String(key) },
    );
  }
  return found.channel;
}
