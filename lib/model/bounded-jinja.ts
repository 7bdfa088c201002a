/**
 * A Jinja interpreter for templates that come with model files and may be hostile.
 *
 * Three fences, because no one of them holds alone. The interpreter counts evaluations and weighs every value it
 * makes, so that loops and doublings stop early. Filters and methods, whose result can be the product of their
 * operands' sizes, are weighed before they run. And the whole rendering runs under a watchdog (`vm`'s timeout),
 * which also ends what happens inside a single evaluation. A worker with a heap limit was tried instead: one large
 * allocation beyond its limit ends the whole process.
 */
import { createContext, Script } from 'node:vm';

/** A node of the syntax tree; what else it has depends on its type. */
interface Node {
  type: string;
  [field: string]: unknown;
}

/** A value at run time: its JavaScript value (string, number, array or Map of values …) with the name of its type. */
interface Value {
  type: string;
  value: unknown;
}

type Environment = { set(name: string, value: unknown): unknown };

/** The part of the package used here. Its own declarations are for ES modules alone, which this build is not. */
interface Jinja {
  tokenize: (source: string, options: { trim_blocks: boolean; lstrip_blocks: boolean }) => unknown;
  parse: (tokens: unknown) => Node;
  Environment: new () => Environment;
  Interpreter: new (environment: Environment) => {
    evaluate(statement: Node | undefined, environment: Environment): Value;
  };
}

// eslint-disable-next-line @typescript-eslint/no-require-imports -- see Jinja
const { Environment, Interpreter, parse, tokenize } = require('@huggingface/jinja') as Jinja;

/** A parsed template. */
export type Program = Node;

const MAX_STEPS = 1_000_000;
const MAX_RANGE = 100_000;
/** Characters (or array items) one value may hold, beyond a multiple of what came in. */
const BASE_WEIGHT = 2 ** 20;
const WEIGHT_PER_INPUT = 16;
/** Product of the sizes of a filter's operand and arguments. */
const MAX_PRODUCT = 2 ** 27;
const TIMEOUT_MS = 2000;
/** Begins the message of an error that a template raised on purpose. */
export const TEMPLATE_SAYS = 'the template says:';

export interface RenderInput {
  variables: Record<string, unknown>;
  /** Characters in the variables: how much output is reasonable follows from it. */
  inputLength: number;
}

/** Parses a template. Throws plain errors of the parser, or of the watchdog. */
export function parseTemplate(source: string): Program {
  // As transformers sets up Jinja.
  return watched(() => parse(tokenize(source, { trim_blocks: true, lstrip_blocks: true })));
}

/** Renders a parsed template. Throws plain errors: of the template, of the bounds, or of the watchdog. */
export function renderTemplate(program: Program, { variables, inputLength }: RenderInput): string {
  const environment = new Environment();
  for (const [name, value] of Object.entries({ ...globals(), ...variables })) environment.set(name, value);
  const maxWeight = BASE_WEIGHT + WEIGHT_PER_INPUT * inputLength;
  return watched(() => {
    const result = new BoundedInterpreter(environment, maxWeight).evaluate(program, environment);
    return String(result.value);
  });
}

const watchdogContext = createContext({ run: undefined as (() => unknown) | undefined });
const watchdogScript = new Script('run()');

/** Runs a function synchronously, ending it after TIMEOUT_MS even inside a loop that never returns. */
function watched<T>(run: () => T): T {
  watchdogContext['run'] = run;
  try {
    return watchdogScript.runInContext(watchdogContext, { timeout: TIMEOUT_MS }) as T;
  } finally {
    watchdogContext['run'] = undefined;
  }
}

function globals(): Record<string, unknown> {
  return {
    true: true,
    True: true,
    false: false,
    False: false,
    none: null,
    None: null,
    raise_exception: (message: unknown) => {
      throw new Error(`${TEMPLATE_SAYS} ${String(message).slice(0, 300)}`);
    },
    range: boundedRange,
    strftime_now: (format: unknown) => formatTime(new Date(), String(format)),
  };
}

function boundedRange(first: number, second?: number, step = 1): number[] {
  const [start, stop] = second === undefined ? [0, first] : [first, second];
  if (
    ![start, stop, step].every((value) => typeof value === 'number' && Number.isFinite(value)) ||
    step === 0
  ) {
    throw new Error('range() takes numbers and a step that is not 0');
  }
  const length = Math.max(0, Math.ceil((stop - start) / step));
  if (length > MAX_RANGE) throw new Error(`range() of ${length} items`);
  return Array.from({ length }, (_, index) => start + index * step);
}

const MONTHS = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
];
MONTHS.push('November', 'December');
const WEEKDAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];

/** The directives of C's strftime that chat templates use, in English. */
function formatTime(date: Date, format: string): string {
  const two = (value: number) => String(value).padStart(2, '0');
  const directives: Record<string, string> = {
    Y: String(date.getFullYear()),
    y: two(date.getFullYear() % 100),
    m: two(date.getMonth() + 1),
    d: two(date.getDate()),
    B: MONTHS[date.getMonth()]!,
    b: MONTHS[date.getMonth()]!.slice(0, 3),
    A: WEEKDAYS[date.getDay()]!,
    a: WEEKDAYS[date.getDay()]!.slice(0, 3),
    H: two(date.getHours()),
    M: two(date.getMinutes()),
    S: two(date.getSeconds()),
    '%': '%',
  };
  return format.replace(/%([A-Za-z%])/g, (whole, directive: string) => directives[directive] ?? whole);
}

/** Type of a node that stands for a value already computed. */
const HELD = '__held';
/** Argument nodes that are left as they are. */
const UNHELD = [
  'StringLiteral',
  'IntegerLiteral',
  'FloatLiteral',
  'SpreadExpression',
  'KeywordSpreadExpression',
];

class BoundedInterpreter extends Interpreter {
  private steps = 0;
  private readonly weights = new WeakMap<object, number>();

  constructor(
    environment: Environment,
    private readonly maxWeight: number,
  ) {
    super(environment);
  }

  override evaluate(statement: Node | undefined, environment: Environment): Value {
    if (statement?.type === HELD) return statement['value'] as Value;
    this.steps += 1;
    if (this.steps > MAX_STEPS) throw new Error(`more than ${MAX_STEPS} evaluations`);
    const value = super.evaluate(statement && this.weighOperands(statement, environment), environment);
    if (this.weigh(value) > this.maxWeight)
      throw new Error(`a value of more than ${this.maxWeight} characters`);
    return value;
  }

  /** Evaluates operand and arguments of a filter or method first, and refuses products that are too large. */
  private weighOperands(node: Node, environment: Environment): Node {
    if (node.type === 'FilterExpression') {
      const filter = node['filter'] as Node;
      const operand = this.hold(node['operand'] as Node, environment);
      const args =
        filter.type === 'CallExpression' ? this.holdAll(filter['args'] as Node[], environment) : [];
      this.checkProduct(operand, args);
      return { ...node, operand, filter: filter.type === 'CallExpression' ? { ...filter, args } : filter };
    }
    const callee = node['callee'] as Node | undefined;
    if (node.type === 'CallExpression' && callee?.type === 'MemberExpression') {
      const object = this.hold(callee['object'] as Node, environment);
      const args = this.holdAll(node['args'] as Node[], environment);
      this.checkProduct(object, args);
      return { ...node, callee: { ...callee, object }, args };
    }
    return node;
  }

  private hold(node: Node, environment: Environment): Node {
    return { type: HELD, value: this.evaluate(node, environment) };
  }

  private holdAll(nodes: Node[], environment: Environment): Node[] {
    return nodes.map((node) => {
      // Some filters look for literals in the syntax tree; and spread arguments are many values, weighed one by one.
      if (UNHELD.includes(node.type)) return node;
      if (node.type !== 'KeywordArgumentExpression') return this.hold(node, environment);
      return { ...node, value: this.hold(node['value'] as Node, environment) };
    });
  }

  private checkProduct(operand: Node, args: Node[]): void {
    const size = (node: Node): number => {
      const given = node.type === 'KeywordArgumentExpression' ? (node['value'] as Node) : node;
      if (given.type === HELD) return this.weigh(given['value'] as Value, true);
      return this.weigh(given as unknown as Value, true); // a literal has its value where values have it
    };
    const product = args.reduce((sum, arg) => sum + size(arg), 1) * size(operand);
    if (!(product <= MAX_PRODUCT)) throw new Error('a filter whose result could be huge');
  }

  /** Characters and items that a value would have written out, remembered for containers. */
  private weigh(value: Value, numbersCount = false, depth = 0): number {
    const inner: unknown = value.value;
    if (typeof inner === 'string') return inner.length;
    if (typeof inner === 'number') return numbersCount ? Math.abs(inner) : 1;
    const isContainer = Array.isArray(inner) || (inner instanceof Map && value.type !== 'NamespaceValue');
    if (!isContainer) return 1;
    const known = this.weights.get(inner);
    if (known !== undefined) return known;
    if (depth > 100) throw new Error('values nested more than 100 deep');
    let sum = 1;
    for (const item of inner.values() as Iterable<Value>) {
      sum += 1 + this.weigh(item, false, depth + 1);
      if (sum > this.maxWeight) break;
    }
    this.weights.set(inner, sum);
    return sum;
  }
}
