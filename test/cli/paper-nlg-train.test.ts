/** @file `lowrank paper nlg train` as it is typed: events, lines, presets, and what it refuses. */
import { existsSync, readdirSync } from 'node:fs'
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
  expect(readdirSync(out)).toEqual(['model.1.pt'])
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
