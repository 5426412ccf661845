/** A failure as three lines: what was expected, what was seen, what to do. */
import type { TranslationBundle } from '@jupyterlab/translation';
import type { IProblem } from './state';

interface IProps {
  problem: IProblem;
  trans: TranslationBundle;
  onDismiss?: () => void;
}

export function Problem({ problem, trans, onDismiss }: IProps): JSX.Element {
  return (
    <div className="labkit-Problem" role="alert">
      <dl>
        <dt>{trans.__('expected')}</dt>
        <dd>{problem.expected}</dd>
        <dt>{trans.__('seen')}</dt>
        <dd>{problem.seen}</dd>
        <dt>{trans.__('next')}</dt>
        <dd>{problem.next_step}</dd>
      </dl>
      {onDismiss && (
        <button type="button" className="labkit-Button" onClick={onDismiss}>
          {trans.__('Dismiss')}
        </button>
      )}
    </div>
  );
}
