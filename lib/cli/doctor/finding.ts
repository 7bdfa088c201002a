/** What the doctor says of one thing, and the guard that keeps a check which fails from ending the examination. */

export type State = 'ok' | 'note' | 'problem';

export interface Finding {
  /** A stable name, for programs. */
  name: string;
  /** `problem`: something will not work until it is mended. `note`: good to know, nothing fails for it. */
  state: State;
  /** For people: one line. */
  text: string;
  /** What to do about it, where there is something to do. */
  remedy?: string;
  /** For programs: what was found. */
  facts: Readonly<Record<string, unknown>>;
}

export type Check = () => Finding | Promise<Finding>;

/** Runs a check; one that throws is a note that it could not be made: it says nothing about the machine. */
export async function examine(name: string, check: Check): Promise<Finding> {
  try {
    return await check();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { name, state: 'note', text: `could not be told: ${reason}`, facts: { error: reason } };
  }
}
