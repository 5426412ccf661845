/** The last runs of the pipeline, stage by stage; a run that waits has its button to approve it. */
import type { TranslationBundle } from '@jupyterlab/translation';
import type { RefObject } from 'react';
import { stateIcon } from './icons';
import type { PipelineModel } from './model';
import type { IRun, IStage } from './state';
import { age, duration, stateWord } from './words';

interface IProps {
  runs: IRun[];
  model: PipelineModel;
  trans: TranslationBundle;
  /** Gets the focus when the button that had it is gone. */
  heading: RefObject<HTMLElement>;
}

export function Runs(props: IProps): JSX.Element {
  const { runs, trans } = props;
  if (runs.length === 0) {
    return (
      <p className="labkit-Empty">
        {trans.__(
          'No commit has gone through the pipeline yet. Commit a change in the shop, then type in a terminal:'
        )}{' '}
        <code>labkit pipeline run</code>
      </p>
    );
  }
  return (
    <ul className="labkit-List" aria-label={trans.__('Last runs')}>
      {runs.map((run, index) => (
        <li key={run.id}>
          <Run {...props} run={run} isNewest={index === 0} />
        </li>
      ))}
    </ul>
  );
}

function Run({
  run,
  isNewest,
  model,
  trans,
  heading
}: IProps & { run: IRun; isNewest: boolean }): JSX.Element {
  return (
    <details className="labkit-Run" open={isNewest || run.state === 'running' || run.state === 'waiting'}>
      <summary>
        <State
          state={run.state}
          word={run.state === 'waiting' ? trans.__('waiting for approval') : stateWord(run.state, trans)}
        />
        <span className="labkit-Subject">
          <code>{run.commit.slice(0, 7)}</code> {run.subject_line}
        </span>
        <span className="labkit-Facts">
          <span>{trans.__('%1 ago', age(run.age_s))}</span>
          {run.seconds !== null && <span>{trans.__('took %1', duration(run.seconds))}</span>}
          <span>{trans.__('by %1', run.by)}</span>
        </span>
      </summary>
      <ol className="labkit-Stages" aria-label={trans.__('Stages of run %1', run.id)}>
        {run.stages.map(stage => (
          <Stage key={stage.name} stage={stage} trans={trans} />
        ))}
      </ol>
      {run.stopped_because && <p className="labkit-Reason">{run.stopped_because}</p>}
      {run.state === 'waiting' && <Approve run={run} model={model} trans={trans} heading={heading} />}
    </details>
  );
}

function Stage({ stage, trans }: { stage: IStage; trans: TranslationBundle }): JSX.Element {
  return (
    <li data-state={stage.state}>
      <span>{stage.name}</span>
      <State state={stage.state} word={stateWord(stage.state, trans)} />
      {stage.seconds !== null && <span className="labkit-Seconds">{duration(stage.seconds)}</span>}
    </li>
  );
}

function State({ state, word }: { state: string; word: string }): JSX.Element {
  const Icon = stateIcon(state);
  return (
    <span className="labkit-State" data-state={state}>
      <Icon.react tag="span" className="labkit-Icon" aria-hidden="true" />
      {word}
    </span>
  );
}

function Approve({ run, model, trans, heading }: Omit<IProps, 'runs'> & { run: IRun }): JSX.Element {
  const busy = model.isBusy(run.id);
  const approve = async () => {
    await model.approve(run.id, trans.__('Run %1 is approved and goes into production', run.id));
    heading.current?.focus();
  };
  return (
    <button
      type="button"
      className="labkit-Button labkit-mod-accept"
      disabled={busy}
      aria-label={trans.__('Approve run %1 for production', run.id)}
      onClick={() => void approve()}
    >
      {busy ? trans.__('Approving…') : trans.__('Approve')}
    </button>
  );
}
