/** The live environments of the workspace, each with its clean-up button. */
import { Dialog, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { RefObject } from 'react';
import type { PipelineModel } from './model';
import type { IEnvironment } from './state';
import { age, holder } from './words';

interface IProps {
  environments: IEnvironment[];
  /** The path of the document in front, to tell "this notebook" from another. */
  here: string;
  model: PipelineModel;
  trans: TranslationBundle;
  /** Gets the focus when the button that had it is gone. */
  heading: RefObject<HTMLElement>;
}

export function Environments(props: IProps): JSX.Element {
  const { environments, trans } = props;
  if (environments.length === 0) {
    return (
      <p className="labkit-Empty">
        {trans.__('No environment is alive. A lab creates its own; or type in a terminal:')}{' '}
        <code>labkit environment create --stage integration</code>
      </p>
    );
  }
  return (
    <ul className="labkit-List" aria-label={trans.__('Live environments')}>
      {environments.map(environment => (
        <Environment key={environment.name} {...props} environment={environment} />
      ))}
    </ul>
  );
}

function Environment(props: IProps & { environment: IEnvironment }): JSX.Element {
  const { environment, here, model, trans, heading } = props;
  const { name, stage, containers, owner } = environment;
  const busy = model.isBusy(name);
  const cleanUp = async () => {
    if (await isMeant(environment, here, trans)) {
      await model.cleanUp(name, trans.__('%1 is cleaned up', name));
      heading.current?.focus();
    }
  };
  return (
    <li className="labkit-Environment" data-stage={stage}>
      <div className="labkit-Row">
        <span className="labkit-Stage">{stage}</span>
        <button
          type="button"
          className="labkit-Button"
          disabled={busy}
          aria-label={trans.__('Clean up %1', name)}
          onClick={() => void cleanUp()}
        >
          {busy ? trans.__('Cleaning up…') : trans.__('Clean up')}
        </button>
      </div>
      <div className="labkit-Name">{name}</div>
      <div className="labkit-Facts">
        <span>{trans._n('%1 container', '%1 containers', containers)}</span>
        <span>{trans.__('%1 old', age(environment.age_s))}</span>
      </div>
      <div className="labkit-Facts" title={owner.notebook ?? undefined}>
        {holder(owner, here, trans)}
      </div>
    </li>
  );
}

/** Ask before something goes that somebody relies on: production, or what a notebook or process is using. */
async function isMeant(environment: IEnvironment, here: string, trans: TranslationBundle): Promise<boolean> {
  const { name, stage, owner } = environment;
  const inUse = owner.kind === 'process' && owner.alive;
  if (stage !== 'production' && !inUse) {
    return true;
  }
  const why =
    stage === 'production'
      ? trans.__('Its containers, its database and its network are removed, and customers get no answer.')
      : trans.__('It is %1, which may be using it now.', holder(owner, here, trans));
  const { button } = await showDialog({
    title: trans.__('Clean up %1?', name),
    body: why,
    buttons: [Dialog.cancelButton(), Dialog.warnButton({ label: trans.__('Clean up') })],
    defaultButton: 0
  });
  return button.accept;
}
