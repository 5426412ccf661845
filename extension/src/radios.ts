/** Arrow keys choose among radio buttons; without this, JupyterLab takes them and goes to another cell. */

const STEPS: Record<string, number> = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 };

/** Choose the button after or before the one on which an arrow key was pressed; the last is before the first. */
export function chooseByArrow(event: KeyboardEvent): void {
  const { key, target } = event;
  const step = STEPS[key];
  if (!step || !(target instanceof HTMLInputElement) || target.type !== 'radio') {
    return;
  }
  const group = target.closest('.widget-radio-box');
  if (!group) {
    return;
  }
  const buttons = [...group.querySelectorAll<HTMLInputElement>('input[type=radio]:enabled')];
  const next = buttons.at((buttons.indexOf(target) + step) % buttons.length);
  next?.focus();
  next?.click();
  event.preventDefault();
  event.stopImmediatePropagation();
}
