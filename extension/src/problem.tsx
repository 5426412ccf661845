/** A failure as three lines: what was expected, what was seen, what to do. */
import type { TranslationBundle } from '@jupyterlab/translation';
import { createElement, Fragment } from 'react';
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
        <dd>
          <Text of={problem.expected} />
        </dd>
        <dt>{trans.__('seen')}</dt>
        <dd>
          <Text of={problem.seen} />
        </dd>
        <dt>{trans.__('next')}</dt>
        <dd>
          <Text of={problem.next_step} />
        </dd>
      </dl>
      {onDismiss && (
        <button type="button" className="labkit-Button" onClick={onDismiss}>
          {trans.__('Dismiss')}
        </button>
      )}
    </div>
  );
}

/** Text whose command line options, such as --fix, are never broken at the end of a line. */
function Text({ of }: { of: string }): JSX.Element {
  const parts = of.split(/(--[\w-]+)/).map((part, index) => (index % 2 ? option(part) : part));
  return createElement(Fragment, null, ...parts);
}

function option(text: string): JSX.Element {
  return <span className="labkit-Option">{text}</span>;
}
