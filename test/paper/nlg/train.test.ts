/**
 * @file The training of gpt2_ft.py against the original: losses, rates and weights step by step, what is printed and what is saved;
 * the order of the rows against torch and Python. The fixture is of `test/oracle/write-paper-training.py`.
 */
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { paperNlgTrainCommand } from '../../../src/cli/commands/paper/nlg-train.js'
import { optionsFrom } from '../../../src/cli/option-flags.js'
import { parseFlags } from '../../../src/cli/parse.js'
import { namedTensors, openTorch, readTorchTensors } from '../../../src/formats/torch/index.js'
import { FolderModel } from '../../../src/model/folder-model.js'
import { weightShapes } from '../../../src/models/registry.js'
import { mergedLora } from '../../../src/paper/nlg/merged-lora.js'
import { MersenneTwister } from '../../../src/paper/nlg/mersenne-twister.js'
import { cardConfig } from '../../../src/paper/nlg/model-cards.js'
import { openGpt2 } from '../../../src/paper/nlg/open-gpt2.js'
import { descriptionOf } from '../../../src/paper/nlg/run-description.js'
import { trainNlg } from '../../../src/paper/nlg/train.js'
import { linesOf, type NlgTrainingEvent } from '../../../src/paper/nlg/training-events.js'
import {
  nlgTrainingTable,
  resolveNlgTraining,
  withNlgTrainingPreset,
  type NlgTrainingOptions,
} from '../../../src/paper/nlg/training-options.js'
import { temporaryFolder, testEnvironment } from '../../support/training.js'

interface Case {
  readonly flags: string
  readonly steps: readonly (readonly [loss: number, rate: number])[]
  readonly evaluation: number
  readonly parameters: number
  readonly trained: Readonly<Record<string, readonly number[]>>
  readonly printed: readonly string[]
  readonly saved: Readonly<Record<string, readonly string[]>>
}

const fixtures = 'test/fixtures/paper/nlg'
const golden = JSON.parse(readFileSync(join(fixtures, 'training.json'), 'utf8')) as {
  readonly counts: Readonly<Record<'gpt2.md' | 'gpt2.lg', number>>
  readonly randperm: Readonly<Record<string, readonly number[]>>
  readonly randint: readonly number[]
  readonly cases: Readonly<Record<string, Case>>
}

const environment = testEnvironment()
const folder = temporaryFolder()

/** The options that a command line gives. */
function optionsOf(args: readonly string[]): NlgTrainingOptions {
  const { values, given } = parseFlags(paperNlgTrainCommand, args)
  return optionsFrom(nlgTrainingTable, Object.fromEntries(Object.entries(values).filter(([name]) => given.has(name))))
}

const data = ['--train_data', `${fixtures}/rows.jsonl`, '--valid_data', `${fixtures}/rows.jsonl`, '--model_card', fixtures]

async function trained(options: NlgTrainingOptions): Promise<NlgTrainingEvent[]> {
  const events: NlgTrainingEvent[] = []
  for await (const event of trainNlg(environment, options)) events.push(event)
  return events
}

const of = <K extends NlgTrainingEvent['event']>(events: readonly NlgTrainingEvent[], kind: K) =>
  events.filter((event): event is Extract<NlgTrainingEvent, { event: K }> => event.event === kind)

describe.each(Object.entries(golden.cases))('gpt2_ft.py, %s', (name, expected) => {
  const workDir = `${folder}/${name}`
  const whole = expected.flags.includes('--lora_dim') ? 'model.full.pt' : 'pytorch_model.bin'
  const flags = [...expected.flags.split(' '), ...data, '--init_checkpoint', `${fixtures}/${whole}`, '--work_dir', workDir]
  let events: NlgTrainingEvent[]

  it('losses and rates of every step', async () => {
    events = await trained(optionsOf(flags))
    const steps = of(events, 'step')
    expect(steps.length).toBe(expected.steps.length)
    steps.forEach(({ loss, learningRate }, i) => {
      expect(Math.abs(loss - expected.steps[i]![0]), `loss of step ${i + 1}`).toBeLessThan(1e-5)
      expect(learningRate).toBeCloseTo(expected.steps[i]![1], 12)
    })
    expect(of(events, 'start')[0]!.trainableParameters).toBe(expected.parameters)
  })

  it('weights at the end', async () => {
    const last = of(events, 'checkpoint').at(-1)!
    const { loaded } = await readTorchTensors(environment.files, last.path)
    for (const [parameter, values] of Object.entries(expected.trained)) {
      const data = Array.from(loaded.get(parameter)!.data as Float32Array)
      const ours = parameter.includes('lora_') ? data : [data.reduce((a, x) => a + x, 0), data.reduce((a, x) => a + x * x, 0)]
      const off = Math.max(...ours.map((x, i) => Math.abs(x - values[i]!)))
      expect(off, parameter).toBeLessThan(parameter.includes('lora_') ? 1e-5 : 2e-4)
    }
  })

  it('lines that are printed', () => {
    const timeless = (line: string): string =>
      line.replace(/ms\/batch *[\d.]+|time: *[\d.]+s/, '').replaceAll(workDir, 'WORK_DIR')
    const lines = events.flatMap(linesOf).filter((line) => /^(\| |saving|start)/.test(line)).map(timeless) // prettier-ignore
    const theirs = expected.printed.filter((line) => /^(\| |saving|start)/.test(line)).map(timeless)
    expect(lines).toEqual(theirs)
    for (const { loss } of of(events, 'eval').slice(-1)) {
      const averages = expected.printed
        .filter((line) => line.startsWith('average loss'))
        .map((line) => Number(line.split(' ')[2]))
      expect(Math.abs(loss - averages.at(-2)!)).toBeLessThan(1e-5)
    }
  })

  it('names in the files that are saved', async () => {
    expect(readdirSync(workDir).sort()).toEqual(Object.keys(expected.saved).sort())
    for (const [file, names] of Object.entries(expected.saved)) {
      const torch = await openTorch(environment.files, join(workDir, file))
      const { tensors, wrapper, parallel } = namedTensors(torch)
      expect(wrapper).toBe('model_state_dict')
      expect(parallel).toBe(true)
      expect([...tensors.keys()].map((key) => `module.${key}`)).toEqual(names)
    }
  })

  it('goes on from its own files, and begins with the evaluation at its end', async () => {
    const { i_steps: _, i_lrs: __, max_epoch: ___, ...options } = optionsOf(flags)
    const init_checkpoint = of(events, 'checkpoint').at(-1)!.path
    const still = { lr: 0, scheduler: 'constant', max_step: 1, eval_interval: 1, work_dir: `${workDir}-again` } as const
    const result = await trained({ ...options, ...still, init_checkpoint })
    expect(Math.abs(of(result, 'eval')[0]!.loss - expected.evaluation)).toBeLessThan(1e-5)
  })
})

describe('what decides which rows are seen', () => {
  it.each(Object.entries(golden.randperm))('torch.randperm: %s', (key, first) => {
    const [count, seed] = key.split(' ').map(Number) as [number, number]
    const order = MersenneTwister.torch(seed).randperm(count)
    expect([...order.subarray(0, first.length)]).toEqual(first)
    expect([...order].sort((a, b) => a - b)).toEqual([...order.keys()])
  })

  it('random.Random(911).randint', () => {
    const random = MersenneTwister.python(911)
    const lasts = [7, 7, 7, 42060, 42060, 0, 1, 2 ** 31 - 1, 8, 8]
    expect(lasts.map((last) => random.randint(last))).toEqual(golden.randint)
  })
})

it.each(Object.entries(golden.counts))('LoRA of rank 4 on %s has the parameters of the code: %d', (card, count) => {
  const config = cardConfig(card as 'gpt2.md')
  // Of the weights the shapes suffice.
  const weights = new Map([...weightShapes(config)].map(([name, shape]) => [name, outline(shape)]))
  const model = FolderModel.fromWeights(environment, config, weights)
  const lora = mergedLora(model, { rank: 4, alpha: 32, dropout: 0.1, seed: 1 }, new Map())
  expect(lora.parameters.count).toBe(count)
})

const outline = (shape: readonly number[]) =>
  ({ dtype: 'float32', shape, file: { path: 'nowhere', offset: 0, length: 4 * shape.reduce((a, b) => a * b, 1) } }) as const

const files = { train_data: `${fixtures}/rows.jsonl`, valid_data: `${fixtures}/rows.jsonl`, model_card: fixtures }
const lora = { lora_dim: 2, lora_alpha: 12, seq_len: 40, train_batch_size: 4 }

describe('files of either side', () => {
  const still = { ...files, ...lora, max_step: 2, lr: 0, save_interval: 1, eval_interval: 2 }

  it('LoRA of the original on its model is the whole of it', async () => {
    const init = { init_checkpoint: `${fixtures}/model.lora.pt`, base_checkpoint: `${fixtures}/pytorch_model.bin` }
    const parts = await trained({ ...still, ...init, work_dir: `${folder}/parts` })
    const whole = await trained({ ...still, init_checkpoint: `${fixtures}/model.full.pt`, work_dir: `${folder}/still` })
    expect(of(parts, 'eval')[0]!.loss).toBe(of(whole, 'eval')[0]!.loss)
  })

  it('what is saved on the way has the names and matrices of the original', async () => {
    const theirs = await readTorchTensors(environment.files, `${fixtures}/model.lora.pt`)
    // A learning rate of 0 has changed nothing.
    const ours = await readTorchTensors(environment.files, `${folder}/still/model.1.pt`)
    expect([...ours.loaded]).toEqual([...theirs.loaded])
    expect([ours.wrapper, ours.parallel]).toEqual([theirs.wrapper, theirs.parallel])
  })

  it('what was trained is what is decoded with', async () => {
    const opened = await openGpt2(environment, {
      ...{ checkpoint: `${folder}/linear/model.12.pt`, modelCard: fixtures, card: 'gpt2.sm', loraDim: 2, loraAlpha: 12 },
    })
    expect(opened.adapter).toBeDefined()
    const name = 'transformer.h.1.attn.c_attn.lora_B'
    const ours = opened.lora.get(name)!.data as Float32Array
    expect(Math.max(...golden.cases['linear']!.trained[name]!.map((x, i) => Math.abs(x - ours[i]!)))).toBeLessThan(1e-5)
  })
})

it('begins at random without a checkpoint: A is Kaiming-uniform, B zero; dropout draws anew at each step', async () => {
  const options = { ...files, ...lora, max_step: 2, save_interval: 1, eval_interval: 9, lr: 0, work_dir: `${folder}/random` }
  await trained({ ...options, lora_dropout: 0.5 })
  const { loaded } = await readTorchTensors(environment.files, `${folder}/random/model.1.pt`)
  for (const [name, { data }] of loaded) {
    const largest = Math.max(...(data as Float32Array).map(Math.abs))
    if (name.endsWith('lora_B')) expect(largest, name).toBe(0)
    else expect(Math.abs(largest - 0.23), name).toBeLessThan(0.02) // 1/√16 is the bound
  }
  const init_checkpoint = `${fixtures}/model.full.pt`
  const run = async (work_dir: string, lora_dropout: number): Promise<number[]> =>
    of(await trained({ ...options, init_checkpoint, lora_dropout, train_batch_size: 8, work_dir: `${folder}/${work_dir}` }), 'step').map(({ loss }) => loss) // prettier-ignore
  const [dropped, kept] = [await run('dropped', 0.5), await run('kept', 0)]
  // The same rows in another order, with nothing learned.
  expect(kept[1]).toBeCloseTo(kept[0]!, 5)
  expect(Math.abs(dropped[1]! - dropped[0]!)).toBeGreaterThan(1e-3)
})

describe('presets', () => {
  it('E2E is the command of the README', () => {
    const readme =
      '--train_batch_size 8 --grad_acc 1 --valid_batch_size 4 --seq_len 512 --model_card gpt2.md --platform local --clip 0.0 --lr 0.0002 --weight_decay 0.01 --correct_bias --adam_beta2 0.999 --scheduler linear --warmup_step 500 --max_epoch 5 --save_interval 1000 --lora_dim 4 --lora_alpha 32 --lora_dropout 0.1 --label_smooth 0.1 --random_seed 110'
    const { train_data, valid_data } = files
    const asked = optionsOf(['--train_data', train_data, '--valid_data', valid_data, ...readme.split(' ')])
    const preset = withNlgTrainingPreset('e2e-gpt2-medium-lora', { train_data, valid_data, platform: 'local' })
    expect(resolveNlgTraining(preset as NlgTrainingOptions)).toEqual(resolveNlgTraining(asked))
  })

  it('what is given goes before it', () => {
    const asked = withNlgTrainingPreset('dart-gpt2-large-lora', { lora_dim: 0, max_step: 3, lr: 1 })
    expect(asked).toMatchObject({ model_card: 'gpt2.lg', weight_decay: 0, lora_dim: 0, max_step: 3, lr: 1 })
    for (const name of ['lora_alpha', 'lora_dropout', 'max_epoch']) expect(Object.keys(asked)).not.toContain(name)
  })
})

describe('what a run is called in a table', () => {
  const options = resolveNlgTraining({ ...files, ...lora, max_step: 1, init_checkpoint: 'lora.pt', base_checkpoint: 'gpt2' })

  it('is its preset on the model itself, where the run goes on from LoRA', () => {
    const expected = { preset: 'e2e-gpt2-medium-lora', model: 'gpt2', seed: options.random_seed, trainedParameters: 5 }
    expect(descriptionOf('e2e-gpt2-medium-lora', options, 5)).toEqual(expected)
  })

  it('is no row of LoRA where all weights are trained', () => {
    const full = descriptionOf('e2e-gpt2-medium-lora', { ...options, lora_dim: 0 }, 5)
    expect(full).toMatchObject({ preset: 'e2e-gpt2-medium-full' })
  })
})

describe('refusals', () => {
  const rows = (text: string): string => {
    const path = `${folder}/rows-${String(text.length)}.jsonl`
    writeFileSync(path, text)
    return path
  }

  it.each<[Partial<NlgTrainingOptions>, string]>([
    [{}, 'nothing says how long the run is: give --max_epoch or --max_step'],
    [{ max_step: 1, i_steps: [0, 4] }, '--i_steps is for --scheduler cycle, but it is "linear"'],
    [{ scheduler: 'cycle', i_steps: [0, 4] }, '--i_steps has 2 points and --i_lrs 1; give as many of both'],
    [
      { scheduler: 'cycle', max_step: 4 },
      '--max_step is not read with --scheduler cycle, whose run ends at the last of --i_steps',
    ],
    [{ scheduler: 'cycle', i_steps: [3, 3], i_lrs: [1, 1] }, 'i_steps must be whole numbers of at least 0 that grow'],
    [{ max_step: 1, lora_alpha: 4 }, '--lora_alpha is for LoRA, but --lora_dim is 0, which trains the whole model'],
    [{ max_step: 1, base_checkpoint: 'x' }, '--base_checkpoint goes with --init_checkpoint'],
    [{ max_step: 1, seq_len: 65 }, '--seq_len is 65, but the model has 64 positions'],
    [{ max_step: 1, model_card: 'gpt2.xl' }, '--model_card is one of gpt2.sm, gpt2.md, gpt2.lg'],
  ])('%j', async (options, message) => {
    await expect(trained({ ...files, work_dir: `${folder}/never`, ...options })).rejects.toThrow(message)
  })

  it.each<[string, string]>([
    [
      '{"context":[1],"completion":[2]}\n{"context":[],"completion":[2]}\n',
      'row 2: the context has no token, so that nothing predicts the completion',
    ],
    [
      '{"context":[1],"completion":"a text"}\n',
      'line 1: "completion" must be a list of token ids, as gpt2_encode.py writes it, but is',
    ],
    ['{"context":[1],"completion":[48]}\n', 'row 1: token id 48 is not in'],
    ['{"context":[1,2,3,4],"completion":[5]}\n', 'no row has a token to learn within its first 4 tokens; raise --seq_len'],
    ['\n', 'holds no row'],
  ])('rows %j', async (text, message) => {
    const options = { ...files, train_data: rows(text), max_step: 1, seq_len: 4, work_dir: `${folder}/never` }
    await expect(trained(options)).rejects.toThrow(message)
  })

  it('checkpoints of an earlier run are not written over unasked, and never one that the run begins with', async () => {
    const work_dir = `${folder}/taken`
    mkdirSync(work_dir)
    writeFileSync(`${work_dir}/model.7.pt`, readFileSync(`${fixtures}/model.full.pt`))
    const options = { ...files, ...lora, work_dir, max_step: 1 }
    await expect(trained(options)).rejects.toThrow(`${work_dir} holds model.7.pt of an earlier run`)
    await expect(trained({ ...options, overwrite: true, init_checkpoint: `${work_dir}/model.7.pt` })).rejects.toThrow(
      'which it could write over',
    )
    await trained({ ...options, overwrite: true })
    expect(readdirSync(work_dir)).toEqual(['model.1.pt', 'model.7.pt'])
  })

  it('rows before weights: of a large model, too, a wrong file is told at once', async () => {
    const options = { ...files, model_card: 'gpt2.lg', train_data: rows('{"context":[1],"completion":[50257]}\n'), max_step: 1 }
    const begun = performance.now()
    await expect(trained({ ...options, work_dir: `${folder}/never` })).rejects.toThrow('token id 50257 is not in')
    // 774 million random numbers take minutes.
    expect(performance.now() - begun).toBeLessThan(5000)
  })

  it('a step that fails is none: what was learned before has the number of the step before, and without one nothing is saved', async () => {
    const options = { ...files, ...lora, max_step: 4, lr: 1e35 }
    const failed = trained({ ...options, work_dir: `${folder}/first` })
    await expect(failed).rejects.toThrow('step 1: the update leaves the range of float32; the weights were not changed')
    expect(readdirSync(folder)).not.toContain('first')
    // The first step of a warm-up has a rate of 0.
    await expect(trained({ ...options, warmup_step: 2, work_dir: `${folder}/second` })).rejects.toThrow('step 2: ')
    expect(readdirSync(`${folder}/second`)).toEqual(['model.1.pt'])
  })

  it('rows that end before their text are counted', async () => {
    const train_data = rows('{"context":[1,2,3,4],"completion":[5]}\n{"context":[1],"completion":[2]}\n')
    const [start] = await trained({ ...files, ...lora, train_data, max_step: 1, seq_len: 4, work_dir: `${folder}/short` })
    expect(start).toMatchObject({ event: 'start', rows: 2, rowsWithoutLabel: 1 })
  })

  it('an aborted run has saved what it learned', async () => {
    const controller = new AbortController()
    const events: NlgTrainingEvent[] = []
    const options = { ...files, ...lora, max_epoch: 9, work_dir: `${folder}/aborted`, signal: controller.signal }
    for await (const event of trainNlg(environment, options)) {
      events.push(event)
      if (event.event === 'step') controller.abort()
    }
    expect(events.slice(-2)).toMatchObject([
      { event: 'checkpoint', step: 1, holds: 'lora' },
      { event: 'done', reason: 'aborted', steps: 1 },
    ])
    expect(readdirSync(`${folder}/aborted`)).toEqual(['model.1.pt'])
  })
})
