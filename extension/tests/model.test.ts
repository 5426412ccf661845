import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { PipelineModel } from '../src/model.ts';

const EMPTY = { environments: [], runs: [], problems: {} };

/** Wait until something holds; the time that the runner allows a test ends the wait. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) {
    await pause(5);
  }
}

/** A source whose answers the test gives one by one. */
class Source {
  asked = 0;
  wishes: string[] = [];
  private _answers: PromiseWithResolvers<typeof EMPTY>[] = [];

  read = () => {
    this.asked += 1;
    const answer = Promise.withResolvers<typeof EMPTY>();
    this._answers.push(answer);
    return answer.promise;
  };
  cleanUp = async (name: string) => {
    this.wishes.push(name);
  };
  approve = async () => {
    throw Object.assign(new Error('no'), { problem: { expected: 'e', seen: 's', next_step: 'n' } });
  };

  async answer(state = EMPTY): Promise<void> {
    this._answers.shift()?.resolve(state);
    await pause(20);
  }

  async fail(): Promise<void> {
    this._answers.shift()?.reject(new Error('Failed to fetch'));
    await pause(20);
  }
}

async function shown(): Promise<[PipelineModel, Source]> {
  const source = new Source();
  const model = new PipelineModel(source);
  model.visible = true;
  await until(() => source.asked === 1);
  return [model, source];
}

test('nothing is asked while the panel cannot be seen', async () => {
  const source = new Source();
  const model = new PipelineModel(source);
  model.refresh();
  await pause(20);
  assert.equal(source.asked, 0);
  model.dispose();
});

test('changes told during a read lead to exactly one more read', async () => {
  const [model, source] = await shown();
  assert.equal(source.asked, 1);
  for (let told = 0; told < 5; told++) {
    model.refresh();
  }
  await source.answer();
  await until(() => source.asked === 2);
  await source.answer();
  assert.equal(source.asked, 2);
  model.dispose();
});

test('one lost answer is asked for again before anything is told', async () => {
  const [model, source] = await shown();
  await source.fail();
  assert.equal(model.unreachable, null);
  await until(() => source.asked === 2);
  await source.answer();
  await until(() => model.state !== null);
  assert.deepEqual([model.state, model.unreachable, source.asked], [EMPTY, null, 2]);
  model.dispose();
});

test('a server that does not answer is told with its next step, and forgotten when it answers', async () => {
  const [model, source] = await shown();
  await source.fail();
  await until(() => source.asked === 2);
  await source.fail();
  await until(() => model.unreachable !== null);
  assert.equal(model.state, null);
  assert.match(model.unreachable?.next_step ?? '', /labkit lab/);
  model.refresh();
  await until(() => source.asked === 3);
  await source.answer();
  await until(() => model.unreachable === null);
  assert.equal(model.state, EMPTY);
  model.dispose();
});

test('a wish is busy until it is done, then said, and the state is read again', async () => {
  const [model, source] = await shown();
  await source.answer();
  const wish = model.cleanUp('staging-1', 'gone');
  assert.ok(model.isBusy('staging-1'));
  await wish;
  await until(() => source.asked === 2);
  assert.ok(!model.isBusy('staging-1'));
  assert.deepEqual([source.wishes, model.said, source.asked], [['staging-1'], 'gone', 2]);
  model.dispose();
});

test('a refused wish keeps the three parts of its problem until the user dismisses it', async () => {
  const [model] = await shown();
  await model.approve('run-1', 'never said');
  assert.deepEqual([model.refused?.seen, model.said], ['s', '']);
  model.dismiss();
  assert.equal(model.refused, null);
  model.dispose();
});
