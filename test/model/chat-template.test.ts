/** Chat templates: rendered as reference implementations do, and bounded whatever they try. */
import { ChatTemplate } from '../../lib/model/chat-template';
import { errorOf, expectError } from '../support/errors';

const messages = [
  { role: 'system', content: ' Be brief. ' },
  { role: 'user', content: 'Hi' },
];

function render(source: string, tokens = {}): string {
  return new ChatTemplate(source, tokens).render(messages, { addGenerationPrompt: true });
}

describe('rendering', () => {
  test.each([
    ['{{ bos_token }}{{ messages[1]["content"] }}{{ eos_token }}', '<s>Hi</s>'],
    ['{% for m in messages %}{{ m.role }}:{{ m.content | trim }};{% endfor %}', 'system:Be brief.;user:Hi;'],
    ['{% if add_generation_prompt %}go{% endif %}', 'go'],
    [
      '{%- set ns = namespace(n=0) -%}{%- for m in messages -%}{%- set ns.n = ns.n + 1 -%}{%- endfor -%}{{ ns.n }}',
      '2',
    ],
    ['{% for i in range(3) %}{{ i }}{% endfor %}{{ range(2, 8, 3) | join(",") }}', '0122,5'],
    ['{{ messages | selectattr("role", "equalto", "user") | list | length }}', '1'],
    ['{{ messages[1] | tojson }}', '{"role": "user", "content": "Hi"}'],
    ['{{ tools is defined }}{{ none is none }}', 'falsetrue'],
    ['{% if true %}\n  {% if true %}\nx\n  {% endif %}\n{% endif %}\n', 'x\n'],
  ])('%s', (source, expected) => {
    expect(render(source, { bos: '<s>', eos: '</s>' })).toBe(expected);
  });

  test('the date comes in the directives that templates use', () => {
    expect(render("{{ strftime_now('%d %b %Y') }}")).toMatch(/^\d\d [A-Z][a-z][a-z] \d{4}$/);
  });
});

describe('hostile templates', () => {
  const doubling = (value: string, next: string) =>
    `{% set ns = namespace(v=${value}) %}{% for i in range(60) %}{% set ns.v = ${next} %}{% endfor %}{{ ns.v | tojson }}`;

  test.each<[string, string, RegExp]>([
    ['does not parse', '{% for %}', /parses/],
    ['is not closed', '{% if x %}', /parses/],
    ['is nested deeply', `{{ ${'('.repeat(50_000)}1${')'.repeat(50_000)} }}`, /parses/],
    ['is a megabyte of white space', `{{ ${' '.repeat(1e6)}'a' }}`, /does not finish|parses/],
    ['raises', "{{ raise_exception('not like that') }}", /the template says: not like that/],
    ['counts to a billion', '{% for i in range(1000000000) %}x{% endfor %}', /range\(\) of 1000000000/],
    ['counts to a thousand thrice', nestedLoops(3), /evaluations|does not finish/],
    ['doubles a string', doubling("'xxxxxxxx'", 'ns.v ~ ns.v'), /characters/],
    ['doubles a list', doubling('[1]', 'ns.v + ns.v'), /characters/],
    ['nests a list in itself twice', doubling('[1]', '[ns.v, ns.v]'), /characters/],
    ['nests objects', doubling('{}', "{'a': ns.v, 'b': ns.v}"), /characters/],
    ['nests namespaces', doubling('1', 'namespace(a=ns.v, b=ns.v)'), /does not finish|characters/],
    ['holds itself', '{% set ns = namespace(v=1) %}{% set ns.v = ns %}{{ ns | tojson }}', /stack|does not/],
    ['indents by a billion', "{{ 'a\\nb' | indent(400000000) }}", /huge/],
    ['joins with a megabyte', `{{ range(100000) | join('${'x'.repeat(100_000)}') }}`, /huge/],
    ['replaces into more', doubling("'aaaaaaaa'", "ns.v | replace('a', ns.v)"), /huge|characters/],
    ['replaces by a method', doubling("'aaaaaaaa'", "ns.v.replace('a', ns.v)"), /huge|characters/],
    ['calls itself', '{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}', /failed/],
    ['asks for the constructor', "{{ ''.constructor.constructor('return process')() }}", /not a function/],
  ])('one that %s', (_, source, message) => {
    const started = performance.now();
    const before = process.memoryUsage().rss;
    expectError(
      errorOf(() => render(source)),
      'INVALID_CHAT_TEMPLATE',
      message,
    );
    expect(performance.now() - started).toBeLessThan(6000);
    // Half a gigabyte is far below what these would take unbounded, and above a collector's slack.
    expect(process.memoryUsage().rss - before).toBeLessThan(500e6);
  });

  test('prototypes are out of reach', () => {
    expect(render('{{ messages.__proto__ }}{{ messages.constructor }}{{ messages[0].__proto__ }}')).toBe('');
  });

  test('long messages are no reason to refuse', () => {
    const template = new ChatTemplate('{% for m in messages %}{{ m.content | trim }}{% endfor %}');
    const content = 'word '.repeat(500_000);
    expect(template.render([{ role: 'user', content }], { addGenerationPrompt: false })).toBe(content.trim());
  });

  function nestedLoops(depth: number): string {
    return depth === 0 ? 'x' : `{% for i${depth} in range(1000) %}${nestedLoops(depth - 1)}{% endfor %}`;
  }
});
