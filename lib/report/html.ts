/**
 * Text into HTML, in a way that leaves no way around the escaping: the tag `html` escapes whatever is put into it,
 * except what it made itself.
 */

/** Markup; made by `html` alone. */
export class Html {
  readonly markup: string;

  constructor(markup: string) {
    this.markup = markup;
  }
}

type Content = Html | string | number | readonly Content[];

/** A template of markup: strings and numbers are inserted as text, `Html` as it is, lists item by item. */
export function html(parts: TemplateStringsArray, ...contents: readonly Content[]): Html {
  return new Html(
    parts.map((part, i) => part + (i < contents.length ? markupOf(contents[i]!) : '')).join(''),
  );
}

function markupOf(content: Content): string {
  if (content instanceof Html) return content.markup;
  if (typeof content === 'string') return escape(visible(content));
  if (typeof content === 'number') return String(content);
  return content.map(markupOf).join('');
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character]!);
}

/**
 * Control characters as something to see: models write them, and a page would swallow them. Line breaks and tabs stay;
 * the others become the pictures that Unicode has for them, or its replacement character, as do those that would turn
 * around the direction of what stands beside them.
 */
export function visible(text: string): string {
  return text
    .replace(/\r\n/g, '\n')
    .replace(/[\0-\x08\x0b-\x1f]/g, (character) => String.fromCharCode(0x2400 + character.charCodeAt(0)))
    .replace(/\x7f/g, '\u2421')
    .replace(/[\x80-\x9f\u202a-\u202e\u2066-\u2069]/g, '\ufffd');
}

/**
 * JSON for a `<script type="application/json">`. Within one a browser looks for `</script` and `<!--` alone, so without
 * a `<` nothing ends it. The line separators are escaped for tools that read the page as lines.
 */
export function embedJson(value: unknown): Html {
  const json = JSON.stringify(value, (_, item: unknown) => (typeof item === 'string' ? visible(item) : item));
  return new Html(
    json.replace(/[<\u2028\u2029]/g, (character) => {
      const code = character.charCodeAt(0).toString(16).padStart(4, '0');
      return `\\u${code}`;
    }),
  );
}
