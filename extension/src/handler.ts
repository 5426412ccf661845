/** All network of the panel: three requests to the server extension. */
import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import type { IProblem, IState } from './state';

/** A request that failed; `problem` has the three parts that a user reads. */
export class RequestError extends Error {
  readonly problem: IProblem;

  constructor(problem: IProblem) {
    super(problem.seen);
    this.problem = problem;
  }
}

/** The requests, with the server's address and credentials bound. */
export class Handler {
  private readonly _settings: ServerConnection.ISettings;

  constructor(settings: ServerConnection.ISettings) {
    this._settings = settings;
  }

  async read(): Promise<IState> {
    return (await this._request('GET', 'state')).json();
  }

  async cleanUp(environment: string): Promise<void> {
    await this._request('DELETE', 'environments', environment);
  }

  async approve(run: string): Promise<void> {
    await this._request('POST', 'runs', run, 'approve');
  }

  private async _request(method: string, ...path: string[]): Promise<Response> {
    const url = URLExt.join(this._settings.baseUrl, 'labkit', ...path.map(encodeURIComponent));
    const response = await ServerConnection.makeRequest(url, { method }, this._settings);
    if (!response.ok) {
      throw new RequestError(await problemOf(response));
    }
    return response;
  }
}

async function problemOf(response: Response): Promise<IProblem> {
  const answer = await response.json().catch(() => ({}));
  return {
    expected: answer.expected ?? 'an answer of the labkit server extension',
    seen: answer.seen ?? `${response.status} ${answer.message ?? response.statusText}`,
    next_step:
      answer.next_step ?? 'reload this page; if that does not help, start JupyterLab again with: labkit lab'
  };
}
