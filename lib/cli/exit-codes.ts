// SPDX-License-Identifier: MIT
// Exit codes of every verb, in one place: the help texts and the README list these.

export const exitCodes: readonly (readonly [number, string])[] = [
  [0, "success"],
  [1, "failed: the message says why"],
  [2, "wrong command line"],
  [3, "the run finished but some planes failed"],
  [130, "cancelled by Ctrl-C"],
  [143, "cancelled by SIGTERM"],
];
