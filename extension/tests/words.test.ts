import assert from 'node:assert/strict';
import { test } from 'node:test';
import { age, duration, holder, stateWord } from '../src/words.ts';

const trans = { __: (text: string, ...words: string[]) => text.replace('%1', words[0] ?? '') } as never;

test('a duration is said to a tenth of a second while it is short', () => {
  assert.deepEqual([0.04, 0.84, 9.96, 12.4, 59.7, 200, 3600].map(duration), [
    '0.0 s',
    '0.8 s',
    '10 s',
    '12 s',
    '1 min',
    '3 min 20 s',
    '60 min'
  ]);
});

test('an age is said in one unit and never ahead of time', () => {
  assert.deepEqual([0, 29, 61, 7199, 90000].map(age), ['< 10 s', '20 s', '1 min', '1 h', '1 d']);
});

test('a holder is the workspace, this notebook, another notebook, another process, or gone', () => {
  const process = { kind: 'process', notebook: null, alive: true } as const;
  const said = [
    { ...process, kind: 'workspace' as const },
    { ...process, notebook: 'labs/a.ipynb' },
    { ...process, notebook: 'labs/b.ipynb' },
    process,
    { ...process, alive: false }
  ].map(owner => holder(owner, 'labs/a.ipynb', trans));
  assert.deepEqual(said, [
    'held by this workspace',
    'held by this notebook',
    'held by b.ipynb',
    'held by another process',
    'its process has ended'
  ]);
});

test('a state that the panel does not know is said as it came', () => {
  assert.equal(stateWord('waiting', trans), 'waiting');
  assert.equal(stateWord('paused', trans), 'paused');
});
