/** Texts that try to be more than text, and a run that has them wherever a run can have text. */
import { CONFIG, goodRun, type RunFiles } from './support';

/** `shown` where the page shows something else than the text itself. */
export const HOSTILE: readonly { text: string; shown?: string }[] = [
  { text: '</script><script>globalThis.hacked = 1</script>' },
  { text: '<!-- <script> --> <!--' },
  { text: '<img src="http://127.0.0.1:9/x.png" onerror="globalThis.hacked = 1">' },
  { text: '"><b>bold</b>\' onclick=alert(1)' },
  { text: 'line\u2028separator\u2029end' },
  { text: '<!-- title --> $& $1 {{title}} &lt;b&gt; &amp;' },
  { text: '\u0000\u001b[31mred\u0007 \u0085', shown: '\u2400\u241b[31mred\u2407 \ufffd' },
  { text: '\u202eright to left\u2069', shown: '\ufffdright to left\ufffd' },
  { text: 'half a pair \ud83d' },
  { text: '\\u003c/script> \\" \\n' },
  { text: 'x'.repeat(900) },
  { text: '__proto__' },
];

export function hostileRun(): RunFiles {
  const files = goodRun({ steps: 6 });
  const texts = HOSTILE.map(({ text }) => text);
  const all = texts.join(' ');
  const asSamples = texts.map((text, index) => ({
    step: 1,
    index,
    written: text,
    query: `${text} – asked`,
    rejected: index % 2 === 0 ? null : text,
    info: { kind: text, level: 1 },
    value: 0.5,
    answers: [{ text, tokens: 1, finishReason: 'eos', reward: 1, quality: null, advantage: 0 }],
  }));
  return {
    config: {
      ...CONFIG,
      options: { ...CONFIG.options, [texts[0]!]: all, steps: 6 },
      versions: { lsp: all },
      model: { path: `/models/${texts[0]!}`, files: [{ file: texts[2]!, bytes: 1, sha256: all }] },
    },
    metrics: files.metrics.map((record, i) => ({
      ...(record as object),
      warnings: [texts[i % texts.length]!],
      noSignal: all,
      rejections: { [texts[0]!]: 1, [texts[2]!]: 2 },
    })),
    samples: asSamples,
    probes: files.probes.map((record) => ({
      ...(record as object),
      groups: texts.map((name) => ({ name, score: 0.5, count: 3 })),
    })),
    timings: files.timings,
  };
}
