/** What the server answers to GET labkit/state; `labkit/jupyter/_service.py` writes it. */

/** A failure that the user can fix: what was expected, what was seen, and the next step. */
export interface IProblem {
  expected: string;
  seen: string;
  next_step: string;
}

/** Who holds an environment: the workspace, or a process; notebook is the path of the notebook that process serves. */
export interface IOwner {
  kind: 'workspace' | 'process';
  notebook: string | null;
  alive: boolean;
}

export interface IEnvironment {
  name: string;
  stage: string;
  containers: number;
  age_s: number;
  owner: IOwner;
}

/** seconds is null until the stage is finished; reason is empty unless it failed. */
export interface IStage {
  name: string;
  state: string;
  seconds: number | null;
  reason: string;
}

/** One commit's way through the pipeline; the newest comes first in `IState.runs`. */
export interface IRun {
  id: string;
  commit: string;
  subject_line: string;
  by: string;
  age_s: number;
  state: string;
  seconds: number | null;
  stopped_because: string;
  stages: IStage[];
}

/** The parts of the state that could not be read, each with its problem. */
export interface IProblems {
  workspace?: IProblem;
  environments?: IProblem;
  runs?: IProblem;
}

export interface IState {
  environments: IEnvironment[];
  runs: IRun[];
  problems: IProblems;
}
