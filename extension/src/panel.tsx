/** The side panel: live environments above, the last runs below, problems where they belong. */
import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget, UseSignal } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import type { ISignal } from '@lumino/signaling';
import { type ReactNode, type RefObject, useId, useRef } from 'react';
import { Environments } from './environments';
import { pipelineIcon } from './icons';
import type { PipelineModel } from './model';
import { Problem } from './problem';
import { Runs } from './runs';
import type { IProblem, IState } from './state';

/** The document in front: its path, and a signal for when another comes to the front. */
export interface IFront {
  readonly currentPath: string | null | undefined;
  readonly currentPathChanged: ISignal<unknown, unknown>;
}

export class PipelinePanel extends ReactWidget {
  private readonly _model: PipelineModel;
  private readonly _front: IFront | null;
  private readonly _trans: TranslationBundle;

  constructor(model: PipelineModel, front: IFront | null, trans: TranslationBundle) {
    super();
    this._model = model;
    this._front = front;
    this._trans = trans;
    this.id = 'labkit-panel';
    this.addClass('labkit-Panel');
    this.title.icon = pipelineIcon;
    this.title.caption = trans.__('Pipeline');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', trans.__('Pipeline'));
    front?.currentPathChanged.connect(() => this.update(), this);
  }

  dispose(): void {
    this._model.dispose();
    super.dispose();
  }

  protected onAfterShow(msg: Message): void {
    super.onAfterShow(msg);
    this._model.visible = true;
  }

  protected onAfterHide(msg: Message): void {
    super.onAfterHide(msg);
    this._model.visible = false;
  }

  protected render(): JSX.Element {
    return (
      <UseSignal signal={this._model.changed}>
        {() => <Content model={this._model} here={this._front?.currentPath ?? ''} trans={this._trans} />}
      </UseSignal>
    );
  }
}

interface IContent {
  model: PipelineModel;
  here: string;
  trans: TranslationBundle;
}

function Content({ model, here, trans }: IContent): JSX.Element {
  return (
    <>
      {model.unreachable && <Problem problem={model.unreachable} trans={trans} />}
      {model.refused && <Problem problem={model.refused} trans={trans} onDismiss={() => model.dismiss()} />}
      {model.state && <Sections state={model.state} model={model} here={here} trans={trans} />}
      {!model.state && !model.unreachable && <p className="labkit-Empty">{trans.__('Asking the server…')}</p>}
      <p className="labkit-Said" role="status">
        {model.said}
      </p>
    </>
  );
}

function Sections({ state, model, here, trans }: IContent & { state: IState }): JSX.Element {
  const environments = useRef<HTMLHeadingElement>(null);
  const runs = useRef<HTMLHeadingElement>(null);
  const { problems } = state;
  if (problems.workspace) {
    return <Problem problem={problems.workspace} trans={trans} />;
  }
  return (
    <>
      <Section
        title={trans.__('Environments')}
        heading={environments}
        problem={problems.environments}
        trans={trans}
      >
        <Environments {...{ model, here, trans }} environments={state.environments} heading={environments} />
      </Section>
      <Section title={trans.__('Runs')} heading={runs} problem={problems.runs} trans={trans}>
        <Runs {...{ model, trans }} runs={state.runs} heading={runs} />
      </Section>
    </>
  );
}

interface ISection {
  title: string;
  heading: RefObject<HTMLHeadingElement>;
  problem: IProblem | undefined;
  trans: TranslationBundle;
  children: ReactNode;
}

/** One part of the panel; its problem stands in place of what could not be read. */
function Section({ title, heading, problem, trans, children }: ISection): JSX.Element {
  const id = useId();
  return (
    <section aria-labelledby={id}>
      <h2 id={id} ref={heading} tabIndex={-1}>
        {title}
      </h2>
      {problem ? <Problem problem={problem} trans={trans} /> : children}
    </section>
  );
}
