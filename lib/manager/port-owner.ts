// SPDX-License-Identifier: MIT
// Whether a process listens on a TCP port of this host, as the kernel has it (Linux).

import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** proc(5): in net/tcp state 0A is LISTEN, the second field is address:port in hexadecimal, the tenth the socket's inode. */
function listeners(table: string, port: number): string[] {
  let text: string;
  try {
    text = readFileSync(table, "utf8");
  } catch {
    return [];
  }
  const wanted = port.toString(16).toUpperCase().padStart(4, "0");
  return text.split("\n").flatMap((line) => {
    const fields = line.trim().split(/\s+/);
    const inode = fields[9];
    const isWanted = fields[3] === "0A" && fields[1]?.endsWith(`:${wanted}`);
    return isWanted && inode !== undefined ? [inode] : [];
  });
}

/** False where it does not, where that cannot be seen (another user's process), and on systems that are not asked. */
export function listensOn(pid: number, port: number): boolean {
  const inodes = new Set(["/proc/net/tcp", "/proc/net/tcp6"].flatMap((table) => listeners(table, port)));
  if (inodes.size === 0) return false;
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      try {
        return inodes.has(/^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? "");
      } catch {
        // Closed meanwhile.
        return false;
      }
    });
  } catch {
    return false;
  }
}
