/** The panel's own icon, and one icon for each state of a run or stage. */
import {
  checkIcon,
  circleEmptyIcon,
  errorIcon,
  LabIcon,
  pauseIcon,
  runIcon,
  stopIcon
} from '@jupyterlab/ui-components';

/** Four stages, one after the other. */
export const pipelineIcon = new LabIcon({
  name: 'labkit:pipeline',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <g class="jp-icon3 jp-icon-selectable" fill="#616161">
    <path d="M5 11h14v2H5z"/>
    <circle cx="4" cy="12" r="3"/><circle cx="12" cy="12" r="3"/><circle cx="20" cy="12" r="3"/>
  </g>
</svg>`
});

const STATES: Record<string, LabIcon> = {
  failed: errorIcon,
  lost: errorIcon,
  passed: checkIcon,
  running: runIcon,
  stopped: stopIcon,
  waiting: pauseIcon
};

/** The icon of a state; what has not started is an empty circle. */
export function stateIcon(state: string): LabIcon {
  return STATES[state] ?? circleEmptyIcon;
}
