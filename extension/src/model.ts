/** What the panel knows: the last state read, what is being done, and what to tell the user about it. */
import { Poll } from '@lumino/polling';
import { type ISignal, Signal } from '@lumino/signaling';
import type { IProblem, IState } from './state';

const INTERVAL_MS = 10_000;
const MAX_INTERVAL_MS = 60_000;
const RETRY_MS = 500;
const SAID_MS = 8_000;

/** Where the state comes from and where wishes go. */
export interface ISource {
  read(): Promise<IState>;
  cleanUp(environment: string): Promise<void>;
  approve(run: string): Promise<void>;
}

/**
 * Reads the state when told that something changed, and every 10 s in case a message was lost.
 * It rests while the panel cannot be seen, and asks less often while the server does not answer.
 */
export class PipelineModel {
  /** The last state read; null before the first answer and while the server does not answer. */
  state: IState | null = null;
  /** Why the server could not be asked; null when it answered. */
  unreachable: IProblem | null = null;
  /** Why the last wish failed; null when it was done, or once the user has dismissed it. */
  refused: IProblem | null = null;
  /** The last thing done, for people who hear the panel. */
  said = '';

  private readonly _source: ISource;
  private readonly _poll: Poll<void>;
  private readonly _busy = new Set<string>();
  private readonly _changed = new Signal<this, void>(this);
  private _visible = false;
  private _reading = false;
  private _readAgain = false;

  constructor(source: ISource) {
    this._source = source;
    this._poll = new Poll<void>({
      name: 'labkit:pipeline',
      factory: () => this._read(),
      frequency: { interval: INTERVAL_MS, backoff: true, max: MAX_INTERVAL_MS },
      standby: () => (this._visible ? 'when-hidden' : true)
    });
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Set by the panel; what becomes visible is read at once. */
  set visible(value: boolean) {
    this._visible = value;
    this.refresh();
  }

  /** Whether a wish about this environment or run is under way. */
  isBusy(name: string): boolean {
    return this._busy.has(name);
  }

  /** Read the state soon. A change told during a read leads to one more read, as that one may have missed it. */
  refresh(): void {
    if (this._reading) {
      this._readAgain = true;
    } else {
      void this._poll.refresh();
    }
  }

  /** Clean an environment up; `done` is said when nothing of it is left. */
  cleanUp(environment: string, done: string): Promise<void> {
    return this._wish(environment, () => this._source.cleanUp(environment), done);
  }

  /** Let a waiting run go on into production. */
  approve(run: string, done: string): Promise<void> {
    return this._wish(run, () => this._source.approve(run), done);
  }

  /** Forget the problem that the user has read. */
  dismiss(): void {
    this.refused = null;
    this._changed.emit();
  }

  dispose(): void {
    this._poll.dispose();
    Signal.clearData(this);
  }

  private async _read(): Promise<void> {
    this._reading = true;
    try {
      this.state = await this._readTwice();
      this.unreachable = null;
    } catch (error) {
      this.state = null;
      this.unreachable = problemOf(
        error,
        'start it again with: labkit lab; this panel then goes on by itself'
      );
      throw error;
    } finally {
      this._reading = false;
      this._changed.emit();
      if (this._readAgain) {
        this._readAgain = false;
        // After the poll has noted the end of this read; until then it would drop the next one.
        setTimeout(() => this.refresh());
      }
    }
  }

  /** Say what was done, for as long as one reads it. */
  private _say(words: string): void {
    this.said = words;
    setTimeout(() => {
      if (this.said === words) {
        this.said = '';
        this._changed.emit();
      }
    }, SAID_MS);
  }

  /** A browser drops a request when the machine's networks change, which each new environment does: ask once more. */
  private async _readTwice(): Promise<IState> {
    try {
      return await this._source.read();
    } catch {
      await new Promise(resolve => setTimeout(resolve, RETRY_MS));
      return this._source.read();
    }
  }

  private async _wish(name: string, wish: () => Promise<void>, done: string): Promise<void> {
    this.refused = null;
    this.said = '';
    this._busy.add(name);
    this._changed.emit();
    try {
      await wish();
      this._say(done);
    } catch (error) {
      this.refused = problemOf(error, 'look whether it was done all the same; if not, try again');
    }
    this._busy.delete(name);
    this._changed.emit();
    this.refresh();
  }
}

/** The problem that the server told; where it told none, no answer came, and next_step is what to do then. */
function problemOf(error: unknown, next_step: string): IProblem {
  if (error instanceof Error && 'problem' in error) {
    return error.problem as IProblem;
  }
  return {
    expected: 'an answer of the Jupyter server',
    seen: error instanceof Error ? error.message : String(error),
    next_step
  };
}
