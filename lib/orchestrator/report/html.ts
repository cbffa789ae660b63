// SPDX-License-Identifier: MIT
// Building HTML from untrusted text: everything that is not already Html is escaped.

/** Markup that may go into the page as it is. Made by {@link html} only, or by {@link trusted} from our own constants. */
export class Html {
  constructor(readonly text: string) {}
  toString(): string {
    return this.text;
  }
}

export type HtmlValue = Html | string | number | null | undefined | false | readonly HtmlValue[];

const entities: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

// Control characters break parsers, and bidirectional overrides can make a path read as another one: they become U+FFFD, as
// half surrogate pairs do when the page is encoded.
const invisible = /(?![\t\n\r])[\p{Cc}\p{Bidi_Control}\p{Cs}]/gu;

/** Text for element content and for quoted attributes. */
export function escapeHtml(text: string): string {
  return text.replace(invisible, "\uFFFD").replace(/[&<>"']/g, (c) => entities[c] as string);
}

/** Markup and encoded bytes of our own making. Never call it with text that came from outside. */
export function trusted(text: string): Html {
  return new Html(text);
}

function render(value: HtmlValue): string {
  if (value === null || value === undefined || value === false) return "";
  if (value instanceof Html) return value.text;
  if (typeof value === "number") return String(value);
  if (typeof value === "string") return escapeHtml(value);
  return value.map(render).join("");
}

/** A template tag: literal parts are markup, values are escaped unless they are {@link Html}; arrays are joined, null and false vanish. */
export function html(strings: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  let text = strings[0] as string;
  for (let i = 0; i < values.length; i++) text += render(values[i]) + (strings[i + 1] as string);
  return new Html(text);
}

const jsonEscapes: Record<string, string> = {
  "<": "\\u003c",
  ">": "\\u003e",
  "&": "\\u0026",
  "\u2028": "\\u2028",
  "\u2029": "\\u2029",
};

/** JSON for the inside of a script element: no `<`, so that neither `</script>` nor `<!--` can end or change it. */
export function embedJson(value: unknown): Html {
  return new Html(
    JSON.stringify(value, (_, v) => (typeof v === "string" ? v.replace(invisible, "\uFFFD") : v)).replace(
      /[<>&\u2028\u2029]/g,
      (c) => jsonEscapes[c] as string,
    ),
  );
}
