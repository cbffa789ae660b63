// SPDX-License-Identifier: MIT
// Numbers, durations and sizes as people read them; always English, so that a report looks alike on every machine.

const integers = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const significant = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 4 });

/** Integers with thousands separators, other numbers with four significant digits; tiny and huge ones in scientific notation. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return "n/a";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e12)) return value.toExponential(2).replace("e+", "e");
  return (Number.isInteger(value) || size >= 10_000 ? integers : significant).format(value);
}

/** Three significant digits, for rates. */
export function formatRate(value: number): string {
  if (!Number.isFinite(value)) return "n/a";
  if (value >= 100) return integers.format(value);
  return value.toFixed(value >= 10 ? 1 : 2);
}

export function formatSeconds(seconds: number): string {
  if (!Number.isFinite(seconds)) return "n/a";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`;
  const whole = Math.round(seconds);
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${String(whole % 60).padStart(2, "0")} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

/** Decimal units, as disks and networks are sold. */
export function formatMegabytes(megabytes: number): string {
  if (!Number.isFinite(megabytes)) return "n/a";
  if (megabytes < 1) return `${integers.format(megabytes * 1000)} kB`;
  if (megabytes < 1000) return `${formatRate(megabytes)} MB`;
  if (megabytes < 1e6) return `${formatRate(megabytes / 1000)} GB`;
  return `${formatRate(megabytes / 1e6)} TB`;
}

/** `1 well`, `2 wells`. */
export function plural(count: number, noun: string, many = `${noun}s`): string {
  return `${formatNumber(count)} ${count === 1 ? noun : many}`;
}

/** An ISO 8601 instant as `2026-11-22 17:39 UTC`; text that is not one is returned as it came. */
export function formatInstant(iso: string): string {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return iso;
  return `${at.toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

/** Round values inside `[low, high]`, about `count` of them, at steps of 1, 2 or 5 times a power of ten. */
export function niceTicks(low: number, high: number, count: number): number[] {
  const span = high - low;
  if (!(span > 0) || !Number.isFinite(span)) return [low];
  const raw = span / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(raw));
  const fraction = raw / power;
  const factor = fraction <= 1 ? 1 : fraction <= 2 ? 2 : fraction <= 5 ? 5 : 10;
  const step = factor * power;
  const ticks: number[] = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) {
    // Dividing by a whole number where the step is a fraction keeps 0.3 from becoming 0.30000000000000004; + 0 turns -0 into 0.
    ticks.push((step >= 1 ? k * step : k / Math.round(1 / step)) + 0);
  }
  return ticks;
}
