/** Wires the panel, and arrow keys for radio buttons, into JupyterLab; nothing else happens here. */
import {
  ILabShell,
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { Handler } from './handler';
import { PipelineModel } from './model';
import { PipelinePanel } from './panel';
import { chooseByArrow } from './radios';

/** The id of the event that the server emits; `labkit/jupyter/_changes.py` has the other end. */
const CHANGED = 'https://labkit.dev/jupyter/changed/v1';

const plugin: JupyterFrontEndPlugin<void> = {
  id: 'labkit:pipeline',
  description: 'Shows the live environments and the last runs of the pipeline; arrow keys choose an answer.',
  autoStart: true,
  optional: [ILabShell, ILayoutRestorer, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    shell: ILabShell | null,
    restorer: ILayoutRestorer | null,
    translator: ITranslator | null
  ) => {
    const { events, serverSettings } = app.serviceManager;
    const model = new PipelineModel(new Handler(serverSettings));
    events.stream.connect((_, event) => {
      if (event.schema_id === CHANGED) {
        model.refresh();
      }
    });
    document.addEventListener('visibilitychange', () => model.refresh());
    // JupyterLab listens at the document; the window comes first.
    window.addEventListener('keydown', chooseByArrow, true);
    const panel = new PipelinePanel(model, shell, (translator ?? nullTranslator).load('labkit'));
    app.shell.add(panel, 'left', { rank: 500 });
    restorer?.add(panel, panel.id);
  }
};

export default plugin;
