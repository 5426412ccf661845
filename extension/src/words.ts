/** How times and owners are said. */
import type { TranslationBundle } from '@jupyterlab/translation';
import type { IOwner } from './state';

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A measured time: "0.8 s", "12 s", "3 min 20 s". */
export function duration(seconds: number): string {
  if (seconds < 9.95) {
    return `${seconds.toFixed(1)} s`;
  }
  const whole = Math.round(seconds);
  if (whole < MINUTE) {
    return `${whole} s`;
  }
  const rest = whole % MINUTE;
  return `${Math.floor(whole / MINUTE)} min${rest ? ` ${rest} s` : ''}`;
}

/** An age in one unit, so coarse that it stays true until the next read: "< 10 s", "20 s", "3 min", "2 h", "4 d". */
export function age(seconds: number): string {
  if (seconds < 10) {
    return '< 10 s';
  }
  if (seconds < MINUTE) {
    return `${Math.floor(seconds / 10) * 10} s`;
  }
  if (seconds < HOUR) {
    return `${Math.floor(seconds / MINUTE)} min`;
  }
  return seconds < DAY ? `${Math.floor(seconds / HOUR)} h` : `${Math.floor(seconds / DAY)} d`;
}

/** Who holds an environment, seen from the document at `here`: one phrase. */
export function holder(owner: IOwner, here: string, trans: TranslationBundle): string {
  if (owner.kind === 'workspace') {
    return trans.__('held by this workspace');
  }
  if (!owner.alive) {
    return trans.__('its process has ended');
  }
  if (owner.notebook === null) {
    return trans.__('held by another process');
  }
  return owner.notebook === here
    ? trans.__('held by this notebook')
    : trans.__('held by %1', baseName(owner.notebook));
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** The word for the state of a run or stage; a state that this panel does not know is said as it came. */
export function stateWord(state: string, trans: TranslationBundle): string {
  const words: Record<string, string> = {
    failed: trans.__('failed'),
    lost: trans.__('lost'),
    'not started': trans.__('not started'),
    passed: trans.__('passed'),
    running: trans.__('running'),
    stopped: trans.__('stopped'),
    waiting: trans.__('waiting')
  };
  return words[state] ?? state;
}
