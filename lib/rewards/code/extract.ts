/**
 * The code in an answer. Models wrap it in prose, in one fenced block or several, with or without the signature, and are
 * cut off in the middle of a block; a reward that misses the code would punish the wrapping.
 */

export interface ExtractedCode {
  code: string;
  /** `whole`: it defines the function. `fragment`: a block that does not; perhaps the function's body. */
  form: 'whole' | 'fragment';
}

const PYTHON = new Set(['', 'py', 'python', 'python3', 'py3']);

/**
 * The Python code of an answer: the first fenced block that defines `entryPoint`; else, without fences, what stands from
 * the first line of code on up to the prose after the function; else the first block; null if there is neither. Without
 * `entryPoint` any function is meant.
 */
export function extractCode(answer: string, entryPoint?: string): ExtractedCode | null {
  const text = answer.replace(/\r\n?/g, '\n');
  const defines = definition(entryPoint);
  const blocks = fencedBlocks(text);
  const whole = blocks.find((block) => defines.test(block));
  if (whole !== undefined) return { code: whole, form: 'whole' };
  if (blocks.length === 0 && defines.test(text)) return { code: withoutProse(text, defines), form: 'whole' };
  const [block] = blocks;
  return block === undefined ? null : { code: block, form: 'fragment' };
}

/** Matches the line that defines a function (any without a name) at the top level. */
export function definition(entryPoint?: string): RegExp {
  const name = entryPoint === undefined ? '\\w+' : entryPoint.replace(/[^\w]/g, '\\$&');
  return new RegExp(`^(?:async )?def[ \\t]+${name}[ \\t]*\\(`, 'm');
}

/** Contents of the fenced blocks that are Python or say nothing; one that is cut off ends with the text. */
export function fencedBlocks(text: string): string[] {
  const blocks: string[] = [];
  let open: { fence: string; indent: number; python: boolean; lines: string[] } | null = null;
  const close = (): void => {
    if (open?.python && open.lines.some((line) => line.trim() !== ''))
      blocks.push(`${open.lines.join('\n')}\n`);
    open = null;
  };
  for (const line of text.split('\n')) {
    const [, indent = '', fence = '', language = ''] = /^([ \t]*)(`{3,}|~{3,})(.*)$/.exec(line) ?? [];
    if (open === null) {
      if (fence === '') continue;
      const python = PYTHON.has(language.trim().toLowerCase().split(/\s/)[0] ?? '');
      open = { fence, indent: indent.length, python, lines: [] };
    } else if (fence.startsWith(open.fence) && language.trim() === '') close();
    else open.lines.push(dedent(line, open.indent));
  }
  close();
  return blocks;
}

/** A block within a list is indented as a whole. */
function dedent(line: string, by: number): string {
  return line.slice(0, by).trim() === '' ? line.slice(by) : line;
}

const CODE_LINE = /^(?:import |from |def |async def |class |@|#|[A-Za-z_]\w*[ \t]*=[^=])/;

/** From the first line of code before the function to the last one of its body. */
function withoutProse(text: string, defines: RegExp): string {
  const lines = text.split('\n');
  const start = lines.findIndex((line) => defines.test(line));
  let first = start;
  while (first > 0 && (CODE_LINE.test(lines[first - 1]!) || /^(?:[ \t]|$)/.test(lines[first - 1]!))) first--;
  let end = start + 1;
  while (end < lines.length && (CODE_LINE.test(lines[end]!) || /^(?:[ \t)\]}]|$)/.test(lines[end]!))) end++;
  return `${lines.slice(first, end).join('\n').trim()}\n`;
}
