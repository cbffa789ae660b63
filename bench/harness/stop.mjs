// SPDX-License-Identifier: MIT
// Ctrl-C and SIGTERM as one AbortSignal that every process started here listens to, so that what is started is ended and what is made removed.

const controller = new AbortController();

export const stop = controller.signal;

export class Stopped extends Error {
  constructor() {
    super(`stopped by ${stop.reason}`);
  }
}

/** From now on a signal ends the trial that runs, not this process. A second one does nothing more: the end takes seconds at most. */
export function stopOnSignals() {
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(name, () => controller.abort(name));
}

/** As shells give it; 128 and the signal's number. */
export const exitCodeOfStop = () => ({ SIGINT: 130, SIGTERM: 143, SIGHUP: 129 })[stop.reason];
