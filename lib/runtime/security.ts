// SPDX-License-Identifier: MIT
// Who may talk to whom over TCP: loopback freely, everything else by CURVE keys on a list (RFC 26/CurveZMQ, RFC 27/ZAP).

import { TilecastError } from "../errors.js";
import type { Endpoint } from "./endpoint.js";
import { loadZmq } from "./zmq.js";

/** Keys are Z85 text of 40 characters, from {@link generateCurveKeys}. */
export interface CurveServerKeys {
  readonly publicKey: string;
  readonly secretKey: string;
  /** Public keys of the clients that are let in. An empty list lets nobody in. */
  readonly clients: readonly string[];
}

export interface CurveClientKeys {
  readonly publicKey: string;
  readonly secretKey: string;
  /** Public key of the server, known beforehand. */
  readonly serverKey: string;
}

export async function generateCurveKeys(): Promise<{
  readonly publicKey: string;
  readonly secretKey: string;
}> {
  const { publicKey, secretKey } = (await loadZmq()).curveKeyPair();
  return { publicKey, secretKey };
}

/** Throws ERR_ENDPOINT for an address that other hosts could reach, or that is on one, without keys. */
export function requireSafe(endpoint: Endpoint, curve: object | undefined): void {
  if (endpoint.isLocal || curve !== undefined) return;
  throw new TilecastError(
    "ERR_ENDPOINT",
    `${endpoint.host} is not this host alone, and control messages command the server: expected loopback (127.0.0.1, ::1), IPC, or CURVE keys`,
    { argument: "curve" },
  );
}
