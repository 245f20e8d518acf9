/** @file `lowrank paper nlg train` as it is typed: events, lines, presets, and what it refuses. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { temporaryFolder } from '../support/training.js'
import { runCli } from './run-cli.js'

const fixtures = 'test/fixtures/paper/nlg'
const folder = temporaryFolder()
const command = ['paper', 'nlg', 'train', '--train_data', `${fixtures}/rows.jsonl`, '--valid_data', `${fixtures}/rows.jsonl`]
const tiny = ['--model_card', fixtures, '--init_checkpoint', `${fixtures}/pytorch_model.bin`, '--seq_len', '40']

it('trains by a preset, before which goes what is given', async () => {
  const out = `${folder}/preset`
  const flags = ['--preset', 'e2e-gpt2-medium-lora', ...tiny, '--lora_dim', '2', '--max_step', '1', '--work_dir', out]
  const { code, json, stderr } = await runCli([...command, ...flags, '--json'])
  expect(code, stderr).toBe(0)
  expect(json().map(({ event }) => event)).toEqual(['start', 'epoch', 'step', 'checkpoint', 'done'])
  // 2 layers · (A [4, 16] + B [32, 2]); the first rate of a warm-up is 0.
  expect(json()[0]).toMatchObject({ maxStep: 1, rows: 8, trainableParameters: 256 })
  expect(json()[2]).toMatchObject({ step: 1, learningRate: 0 })
  expect(readdirSync(out)).toEqual(['model.1.pt', 'nlg-run.json'])
})

it('is a run to whose record the scores of its texts are added, for the table', async () => {
  const out = `${folder}/recorded`
  const flags = ['--preset', 'webnlg-gpt2-medium-lora', ...tiny, '--lora_dim', '2', '--max_step', '1', '--work_dir', out]
  expect((await runCli([...command, ...flags])).code).toBe(0)
  writeFileSync(`${folder}/hyps`, 'the cat sat on the mat\nthe dog ran home fast\n')
  writeFileSync(`${folder}/refs`, 'the cat sat on the mat\nthe dog ran off so fast\n')
  const texts = ['-R', `${folder}/refs`, '-H', `${folder}/hyps`, '-nr', '1', '-m', 'bleu', '--record', out]
  for (const split of ['seen', 'unseen']) {
    const scored = await runCli(['paper', 'nlg', 'score', 'webnlg', ...texts, '--split', split, '--json'])
    expect(scored.code, scored.stderr).toBe(0)
  }
  const record = JSON.parse(readFileSync(`${out}/paper.json`, 'utf8')) as { readonly metrics: Record<string, { BLEU: number }> }
  expect(record).toMatchObject({ task: 'webnlg', preset: 'webnlg-gpt2-medium-lora', seed: 110, trainedParameters: 256 })
  expect(Object.keys(record.metrics)).toEqual(['seen', 'unseen'])
  const table = await runCli(['paper', 'table', out])
  const cell = record.metrics['seen']!.BLEU.toFixed(1)
  expect(table.stdout).toContain(`seed 110 | 256 | ${cell} | ${cell} | – |`)
  const other = await runCli(['paper', 'nlg', 'score', 'dart', ...texts])
  expect(other.stderr).toContain('paper.json is of webnlg, and these scores are of dart')
  const none = await runCli(['paper', 'nlg', 'score', 'dart', ...texts.slice(0, -1), folder])
  expect(none.stderr).toContain('holds no nlg-run.json, which lowrank paper nlg train writes')
  expect((await runCli([...command, ...flags, '--overwrite'])).code).toBe(0)
  expect(existsSync(`${out}/paper.json`), 'the scores of a model that is there no more').toBe(false)
})

it('prints the lines of gpt2_ft.py', async () => {
  const flags = [...tiny, '--max_epoch', '2', '--log_interval', '1', '--lora_dim', '2', '--work_dir', `${folder}/lines`]
  const { code, stdout } = await runCli([...command, ...flags])
  expect(code).toBe(0)
  expect(stdout.split('\n').map((line) => line.replace(/\d+\.\d+/g, '#').replace(folder, 'DIR'))).toEqual([
    'set max_step: 2',
    'start to train the model................ 1',
    expect.stringMatching(
      /^\| epoch {3}1 step {8}1 \| {6}1 batches \| lr 5e-06 \| ms\/batch *# \| loss {2}# \| avg loss {2}# \| ppl *#$/,
    ),
    'saving checkpoint DIR/lines/model.1.pt',
    'start to train the model................ 2',
    expect.stringMatching(/^\| epoch {3}2 step {8}2 \| {6}1 batches \| lr 0 /),
    'saving checkpoint DIR/lines/model.2.pt',
    '-'.repeat(100),
    'End of training',
    '',
  ])
})

it.each([
  [['--fp16'], '--fp16 is refused: it needs apex'],
  [['--roll_step', '3'], '--roll_step is refused: gpt2_ft.py takes it and never reads it'],
  [['--seq-len', '3'], 'Did you mean "--seq_len"?'],
])('refuses %j', async (flags, message) => {
  const { code, stderr } = await runCli([...command, ...flags, '--max_epoch', '1', '--work_dir', `${folder}/never`])
  expect(code).toBe(2)
  expect(stderr).toContain(message)
  expect(existsSync(`${folder}/never`)).toBe(false)
})
