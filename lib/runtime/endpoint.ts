// SPDX-License-Identifier: MIT
// Where a server listens: a data port and its control port, over IPC in a folder that only its owner enters, or over TCP.

import { chmodSync, mkdirSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { TilecastError } from "../errors.js";

export type TransportMode = "ipc" | "tcp";

/** How an application names its endpoints; the same as zmqruntime's ZMQConfig. */
export interface ZmqConfig {
  /** Its folder in the home folder is `.NAME`. */
  readonly appName: string;
  /** Folder of the sockets in the application's folder; an absolute one stands for itself. */
  readonly ipcSocketDir: string;
  readonly ipcSocketPrefix: string;
  readonly ipcSocketExtension: string;
  /** Control port minus data port. */
  readonly controlPortOffset: number;
  /** Data port of an execution server. */
  readonly defaultPort: number;
  /** Where viewers of generations A to C send acknowledgements. */
  readonly sharedAckPort: number;
}

const base = {
  ipcSocketDir: "ipc",
  ipcSocketExtension: ".sock",
  controlPortOffset: 1000,
  defaultPort: 7777,
  sharedAckPort: 7555,
};

/** The applications whose endpoints are found: ours, and those of the OpenHCS family. */
export const zmqConfigs = {
  tilecast: { ...base, appName: "tilecast", ipcSocketPrefix: "tilecast-zmq" },
  openhcs: { ...base, appName: "openhcs", ipcSocketPrefix: "openhcs-zmq" },
  zmqruntime: { ...base, appName: "zmqruntime", ipcSocketPrefix: "zmq" },
  polystore: { ...base, appName: "polystore", ipcSocketPrefix: "polystore-zmq" },
} as const satisfies Record<string, ZmqConfig>;

export interface EndpointOptions {
  /** Data port; default the configuration's. */
  readonly port?: number;
  /** Default `ipc`, `tcp` on Windows. */
  readonly mode?: TransportMode;
  /** TCP only; default 127.0.0.1. Anything but loopback needs CURVE keys. */
  readonly host?: string;
  /** Default {@link zmqConfigs}.tilecast. */
  readonly config?: ZmqConfig;
}

/** sun_path less its terminating NUL. */
const maxSocketPath = process.platform === "darwin" ? 103 : 107;

/** One pair of addresses. */
export class Endpoint {
  readonly port: number;
  readonly controlPort: number;
  readonly mode: TransportMode;
  readonly host: string;
  readonly config: ZmqConfig;

  /** Throws ERR_ENDPOINT when a port is out of range or a socket's path too long for the system. */
  constructor(options: EndpointOptions = {}) {
    this.config = options.config ?? zmqConfigs.tilecast;
    this.mode = options.mode ?? (process.platform === "win32" ? "tcp" : "ipc");
    // Python's servers bind IPv4 only, and "localhost" may be resolved to IPv6 first.
    this.host = options.host === undefined || options.host === "localhost" ? "127.0.0.1" : options.host;
    this.port = options.port ?? this.config.defaultPort;
    this.controlPort = this.port + this.config.controlPortOffset;
    if (!Number.isInteger(this.port) || this.port < 1 || this.controlPort > 65535) {
      const last = 65535 - this.config.controlPortOffset;
      throw new TilecastError("ERR_ENDPOINT", `port: expected 1 to ${last}, and got ${this.port}`, {
        argument: "port",
      });
    }
    const path = this.controlPath;
    if (path !== undefined && Buffer.byteLength(path) > maxSocketPath) {
      throw new TilecastError(
        "ERR_ENDPOINT",
        `the socket's path has ${Buffer.byteLength(path)} bytes and the system takes ${maxSocketPath}: ${path}; set an absolute, shorter ipcSocketDir or use mode "tcp"`,
        { argument: "config", path },
      );
    }
  }

  /** Folder of the socket files. */
  get socketDir(): string {
    return resolve(homedir(), `.${this.config.appName}`, this.config.ipcSocketDir);
  }

  #path(port: number): string | undefined {
    const { ipcSocketPrefix, ipcSocketExtension } = this.config;
    return this.mode === "ipc"
      ? join(this.socketDir, `${ipcSocketPrefix}-${port}${ipcSocketExtension}`)
      : undefined;
  }

  /** Socket files; `undefined` over TCP. */
  get dataPath(): string | undefined {
    return this.#path(this.port);
  }
  get controlPath(): string | undefined {
    return this.#path(this.controlPort);
  }

  get dataUrl(): string {
    return this.mode === "ipc" ? `ipc://${this.dataPath}` : `tcp://${this.#urlHost}:${this.port}`;
  }
  get controlUrl(): string {
    return this.mode === "ipc" ? `ipc://${this.controlPath}` : `tcp://${this.#urlHost}:${this.controlPort}`;
  }
  get #urlHost(): string {
    return this.host.includes(":") ? `[${this.host}]` : this.host;
  }

  /** The file that whoever starts a server locks: that of generations B and C over IPC, of D over TCP. */
  get startupLockPath(): string {
    return this.mode === "ipc"
      ? `${this.dataPath}.startup.lock`
      : join(homedir(), `.${this.config.appName}`, "tcp", `${this.port}.startup.lock`);
  }

  /** Whether only this host reaches it. */
  get isLocal(): boolean {
    return this.mode === "ipc" || /^(127\.\d+\.\d+\.\d+|::1)$/.test(this.host);
  }

  toString(): string {
    return `${this.config.appName} port ${this.port} (${this.mode === "ipc" ? "ipc" : `tcp ${this.host}`})`;
  }
}

export const toEndpoint = (given: Endpoint | EndpointOptions): Endpoint =>
  given instanceof Endpoint ? given : new Endpoint(given);

/**
 * Makes the folder of an endpoint's sockets, for its owner only. Throws ERR_ENDPOINT when it cannot be made, belongs to somebody else or everybody may write
 * to it. A folder of another application keeps its mode, since its own processes made it.
 */
export function ensureSocketDir(endpoint: Endpoint): void {
  const dir = endpoint.mode === "ipc" ? endpoint.socketDir : dirname(endpoint.startupLockPath);
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new TilecastError(
      "ERR_ENDPOINT",
      `the folder of the sockets cannot be made: ${(cause as Error).message}; set an absolute ipcSocketDir that may be written, or use mode "tcp"`,
      { path: dir, cause },
    );
  }
  const stat = statSync(dir);
  const fail = (why: string) =>
    new TilecastError("ERR_ENDPOINT", `${dir} ${why}; whoever may write there could pose as the server`, {
      path: dir,
    });
  if (process.getuid !== undefined && stat.uid !== process.getuid()) throw fail("belongs to another user");
  const isOurs = endpoint.config.appName === zmqConfigs.tilecast.appName;
  if (isOurs && stat.mode & 0o077) chmodSync(dir, 0o700);
  else if (!isOurs && stat.mode & 0o002) throw fail("may be written by everybody");
}
