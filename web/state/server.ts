// SPDX-License-Identifier: MIT
// Requests to the gateway, relative to the page's own address, which holds the token.

/** The page's address without file, query and fragment. */
export const base = new URL(".", location.href.replace(/[?#].*$/, ""));

/** An answer that is no success. */
export class AnswerError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
    this.name = "AnswerError";
  }
}

async function answer(response: Response): Promise<unknown> {
  if (response.ok) return response.json();
  const body = (await response.json().catch(() => ({}))) as { message?: string };
  throw new AnswerError(response.status, body.message ?? `the server answered ${response.status}`);
}

export async function get<T>(
  path: string,
  query: Readonly<Record<string, string | number | undefined>> = {},
  signal?: AbortSignal,
): Promise<T> {
  const url = new URL(path, base);
  for (const [name, value] of Object.entries(query))
    if (value !== undefined && value !== "") url.searchParams.set(name, String(value));
  return (await answer(await fetch(url, signal ? { signal } : {}))) as T;
}

export async function post(path: string): Promise<unknown> {
  return answer(await fetch(new URL(path, base), { method: "POST" }));
}
