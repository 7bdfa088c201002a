/**
 * A report is data: sections of text, facts, charts and tables, from which `renderPage` makes one page.
 *
 * What a report is about (a run, a comparison of runs) is decided by whoever makes the data; the page knows nothing
 * of it. Every string here is plain text, however hostile: nobody but the page turns it into HTML.
 */

/** How numbers are written, in the file and in the browser alike. */
export type NumberFormat = Readonly<
  Pick<
    Intl.NumberFormatOptions,
    | 'style'
    | 'minimumFractionDigits'
    | 'maximumFractionDigits'
    | 'maximumSignificantDigits'
    | 'notation'
    | 'signDisplay'
  >
>;

export interface Report {
  /** Title of the document, for the browser's tab. */
  title: string;
  /** What this is, in a few words above the headline. */
  overline: string;
  /** What came out of it, in one sentence. */
  headline: string;
  /** Paragraphs below the headline. */
  lead: readonly string[];
  /** Between the headline and the first section. */
  summary: readonly Block[];
  sections: readonly Section[];
  /** Last line of the page. */
  colophon: string;
}

export interface Section {
  /** Letters, digits and hyphens; unique. */
  id: string;
  title: string;
  lead?: string;
  blocks: readonly Block[];
}

export type Block = Paragraph | Facts | Notices | Chart | Table | RecordTable;

export interface Paragraph {
  kind: 'paragraph';
  text: string;
}

/** Key figures. */
export interface Facts {
  kind: 'facts';
  facts: readonly { name: string; value: string; note?: string }[];
}

export type Severity = 'problem' | 'warning' | 'note' | 'good';

export interface Notice {
  severity: Severity;
  text: string;
  /** When, how often, what to do. */
  detail?: string;
}

export interface Notices {
  kind: 'notices';
  notices: readonly Notice[];
}

export interface Series {
  name: string;
  /** One a position of the chart; null where there is none. */
  values: readonly (number | null)[];
  /** Ends of an interval around each value, drawn as a band (lines) or a whisker (dots). */
  low?: readonly (number | null)[];
  high?: readonly (number | null)[];
  /** The values are maxima: where neighbours are drawn as one point, it is the greatest of them, not their mean. */
  maxima?: boolean;
}

export interface ValueAxis {
  label: string;
  format?: NumberFormat;
  /** Ends that the axis at least shows. */
  min?: number;
  max?: number;
}

interface ChartBase {
  kind: 'chart';
  /** Letters, digits and hyphens; unique. */
  id: string;
  title: string;
  /** How to read it, in a sentence or two. */
  caption: string;
  value: ValueAxis;
  series: readonly Series[];
}

/** Values along a number such as the step. */
export interface LineChart extends ChartBase {
  shape: 'lines';
  along: {
    label: string;
    positions: readonly number[];
    /** Equal factors, not equal differences, are equally far apart; positions above 0. */
    logarithmic?: boolean;
  };
}

/** Values of named things, one a row. */
export interface DotChart extends ChartBase {
  shape: 'dots';
  along: { label: string; positions: readonly string[] };
  /** Joins the first and the last series of a row: before and after. */
  connect?: boolean;
}

export type Chart = LineChart | DotChart;

export interface Column {
  name: string;
  /** Aligned and sorted as numbers are. */
  format?: NumberFormat;
  /** Gets the room that others leave. */
  wide?: boolean;
}

/** A table that is short enough to stand on the page as it is. The first cell of a row is its heading. */
export interface Table {
  kind: 'table';
  caption: string;
  columns: readonly Column[];
  rows: readonly (readonly (string | number | null)[])[];
}

/** A cell with more than its text: entries that a reader can open. */
export interface DetailCell {
  text?: string;
  /** What the closed entries are. */
  summary?: string;
  entries?: readonly { label: string; text: string }[];
}

export type RecordCell = string | number | null | DetailCell;

/** How readers narrow a table of records down; `column` is an index. */
export type Filter =
  | { kind: 'choice'; column: number; label: string; options: readonly { label: string; accept: string[] }[] }
  | { kind: 'range'; column: number; label: string; min: number; max: number };

/** A long table with a search, drawn in parts. */
export interface RecordTable {
  kind: 'records';
  /** Letters, digits and hyphens; unique. */
  id: string;
  caption: string;
  /** What a row is, in the plural: "queries". */
  noun: string;
  /** What was left out, if anything. */
  note?: string;
  columns: readonly Column[];
  filters: readonly Filter[];
  rows: readonly (readonly RecordCell[])[];
}
