/** @file Mistakes of users, through the public API: each with the message that helps. */
import { chmodSync, cpSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  addLora,
  evaluate,
  loadAdapter,
  loadModel,
  train,
  type LoraOptions,
  type Model,
  type TrainOptions,
} from '../../src/index.js'
import { golden } from '../cli/run-cli.js'
import {
  llamaConfig,
  randomRows,
  runTraining,
  temporaryFolder,
  testEnvironment,
  tinyModel,
  writeModel,
  writeRows,
} from '../support/training.js'

const folder = temporaryFolder()
const model = tinyModel(llamaConfig, testEnvironment())
const good = writeRows(join(folder, 'good.jsonl'), randomRows(4))
let counter = 0
const rows = (...values: readonly unknown[]): string => writeRows(join(folder, `rows-${++counter}.jsonl`), values)
const fails = async (options: Partial<TrainOptions>): Promise<string> => {
  try {
    await runTraining(await addLora(model, { r: 2 }), { data: good, steps: 1, ...options })
  } catch (error) {
    return `${(error as Error).name}: ${(error as Error).message}`
  }
  return 'no error'
}

describe('data', () => {
  it('an empty file', async () => {
    const data = rows()
    expect(await fails({ data })).toBe(`InvalidDataError: no row in ${data}: the data set is empty.`)
    await expect(evaluate(model, { data })).rejects.toThrow('the data set is empty')
  })

  it('no file, a missing file', async () => {
    expect(await fails({ data: [] })).toBe(
      'InvalidOptionError: data must be rows: paths of files, blobs, or a list or iterable of at least one row, got an empty list',
    )
    expect(await fails({ data: join(folder, 'none.jsonl') })).toBe(
      `FileError: ${folder}/none.jsonl does not exist; check the path`,
    )
  })

  it('all labels masked, with rows refused or skipped', async () => {
    const masked = { input_ids: [1, 2, 3], labels: [-100, -100, -100] }
    const data = rows(masked, masked)
    const reason =
      'the row has no token to learn: all its labels are masked (nothing to complete, no assistant turn to learn, or a single token); or leave the row out.'
    expect(await fails({ data, shuffle: false })).toBe(
      `InvalidDataError: 2 rows cannot be used:\n- ${data}, line 1: ${reason} The same: line 2.`,
    )
    expect(await fails({ data, unlabelled: 'skip' })).toBe(
      `InvalidDataError: no row of ${data} has a token to learn: all labels are masked. Check the shape of the rows and maxLength.`,
    )
    await expect(evaluate(model, { data, unlabelled: 'skip' })).rejects.toThrow('has a token to learn: all labels are masked')
  })

  it('a row without a trainable label, named by its line; also one that truncation takes the labels of', async () => {
    const data = rows(
      { input_ids: [1, 2, 3] },
      { input_ids: [1, 2, 3, 4, 5], labels: [-100, -100, -100, 4, 5] },
      { input_ids: [1], labels: [1] },
    )
    expect(await fails({ data, shuffle: false, batchSize: 1, steps: 3 })).toContain(
      `${data}, line 3: the row has no token to learn: all its labels are masked`,
    )
    expect(await fails({ data, shuffle: false, maxLength: 3 })).toContain(
      `${data}, line 2: the row has no token to learn: all its labels were cut off at 3 tokens; raise maxLength`,
    )
  })

  it('a maxLength longer than the positions; rows are cut there without one', async () => {
    const data = rows({ input_ids: Array.from({ length: 25 }, () => 1) })
    expect(await fails({ data })).toBe('no error')
    expect(await fails({ data, maxLength: 24 })).toBe('no error')
    expect(await fails({ data, maxLength: 25 })).toBe(
      'InvalidOptionError: maxLength is 25, but the model has only 24 positions; choose at most 24.',
    )
  })

  it('tokens of another vocabulary, and text without a tokenizer', async () => {
    const [ids, labels, text] = [
      rows({ input_ids: [1, 17] }),
      rows({ input_ids: [1, 2], labels: [1, 99] }),
      rows({ text: 'hello' }),
    ]
    expect(await fails({ data: ids })).toBe(
      `InvalidDataError: ${ids}, line 1: token id 17 at position 1 is outside the model's vocabulary of 17 (0 to 16); the row belongs to another model.`,
    )
    expect(await fails({ data: labels })).toContain(`${labels}, line 1: label 99 at position 1 is neither -100 nor a token id`)
    const withFolder = await loadModelFrom('no-tokenizer')
    await expect(evaluate(withFolder, { data: text })).rejects.toThrow(
      `${text}, line 1: the row is text, but the model's folder has no tokenizer.json`,
    )
  })
})

const loadModelFrom = async (name: string): Promise<Model> => {
  const path = join(folder, name)
  mkdirSync(path)
  writeModel(path)
  return loadModel(path, { threads: 1 })
}

describe('options', () => {
  it.each<[Record<string, unknown>, string]>([
    [{ learningRate: Number.NaN }, 'learningRate must be a finite number of at least 0, got NaN'],
    [{ steps: 0 }, 'steps must be a whole number of at least 1, got 0'],
    [{ epochs: -1 }, 'epochs must be above 0, got -1'],
    [{ batchSize: 1.5 }, 'batchSize must be a whole number of at least 1, got 1.5'],
    [{ gradAccum: '2' }, 'gradAccum must be a whole number of at least 1, got "2"'],
    [{ warmup: 1.5 }, 'warmup must be a share of all steps (at least 0, below 1) or a whole number of steps, got 1.5'],
    [{ beta2: 1 }, 'beta2 must be at least 0 and below 1, got 1'],
    [{ seed: -1 }, 'seed must be a whole number of at least 0 and at most 53 bits, got -1'],
    [{ schedule: 'cosin' }, 'schedule must be one of constant, linear, cosine, inverse_sqrt, piecewise, got "cosin"'],
    [{ onNan: 'ignore' }, 'onNan must be "stop" or "skip", got "ignore"'],
    [{ packing: 'yes' }, 'packing must be true or false, got "yes"'],
    [
      { evalData: [] },
      'evalData must be rows: paths of files, blobs, or a list or iterable of at least one row, got an empty list',
    ],
    [{ unlabelled: 'drop' }, 'unlabelled must be "refuse" or "skip", got "drop"'],
    [
      { resume: true, overwrite: true, out: 'x' },
      'resume (--resume) and overwrite (--overwrite) contradict each other: give the first alone to continue the run in the output folder, the second alone to begin anew and remove it',
    ],
    [{ packing: true, groupByLength: true }, 'packing and groupByLength exclude each other: packed rows are all of one length'],
    [{ earlyStopping: 2 }, 'earlyStopping needs evalData (--eval-data) or valSplit (--val-split): rows to evaluate on'],
    [{ checkpointEvery: 2 }, 'checkpoints and resume need an output folder: give out'],
    [{ resume: true }, 'checkpoints and resume need an output folder: give out'],
    [{ learningrate: 1 }, 'train: unknown option "learningrate"; did you mean learningRate?'],
  ])('%o', async (options, message) => {
    expect(await fails(options as Partial<TrainOptions>)).toBe(`InvalidOptionError: ${message}`)
  })

  it('undefined means not given', async () => {
    expect(await fails({ learningRate: undefined, maxLength: undefined } as unknown as TrainOptions)).toBe('no error')
  })
})

describe('adapters', () => {
  it.each<[LoraOptions, RegExp]>([
    [{ r: 0 }, /r .*above 0|rank 0/],
    [{ r: 9 }, /rank 9 does not fit model\.layers\.0\.self_attn\.q_proj \(8 inputs, 8 outputs\); choose r from 1 to 8/],
    [{ r: 2, targetModules: ['q_porj'] }, /q_porj[\s\S]*q_proj/],
    [{ r: 2, dropout: 1 }, /[dD]ropout/],
    [{ r: 2, initLoraWeights: 'corda' }, /initialisation "corda" of new adapters is not supported/],
  ])('%o', async (options, message) => {
    await expect(addLora(model, options)).rejects.toThrow(message)
  })

  it("copies of base weights are ignored if they are the base's, and refused by name if not", async () => {
    const base = await loadModelFrom('copies')
    const adapter = await addLora(base, { r: 2, targetModules: ['q_proj', 'lm_head'], initLoraWeights: false })
    const out = join(folder, 'copied')
    await adapter.save(out)
    const { encodeSafetensors, loadTensor } = await import('../../src/formats/safetensors.js')
    const head = await loadTensor(base.environment.files, base.weights.get('lm_head.weight') as Parameters<typeof loadTensor>[1])
    const key = 'base_model.model.lm_head.base_layer.weight'
    const write = (tensor: typeof head): void =>
      writeFileSync(join(out, 'adapter_model.safetensors'), encodeSafetensors(new Map([...adapter.tensors, [key, tensor]])))
    write(head)
    expect((await loadAdapter(base, out)).parameters.data).toEqual(adapter.parameters.data)
    const other = (head.data as Float32Array).slice()
    other[5]! += 1
    write({ ...head, data: other })
    await expect(loadAdapter(base, out)).rejects.toThrow(
      `tensor "${key}" replaces "lm_head.weight" of the base model by other values (element 5:`,
    )
    write({ ...head, shape: [8, 17] })
    await expect(loadAdapter(base, out)).rejects.toThrow(`tensor "${key}" [8, 17] replaces "lm_head.weight" [17, 8]`)
  })
})

describe('models', () => {
  const copy = (name: string): string => {
    const path = join(folder, name)
    cpSync(join(golden, 'llama/model'), path, { recursive: true })
    return path
  }

  it('truncated weights', async () => {
    const path = copy('truncated')
    const { size } = (await import('node:fs')).statSync(join(path, 'model.safetensors'))
    truncateSync(join(path, 'model.safetensors'), size - 100)
    await expect(loadModel(path)).rejects.toThrow(/model\.safetensors.*truncated/)
  })

  it('a missing shard', async () => {
    const path = copy('sharded')
    const index = {
      metadata: {},
      weight_map: { 'lm_head.weight': 'model-00001-of-00002.safetensors', 'model.norm.weight': 'model.safetensors' },
    }
    writeFileSync(join(path, 'model.safetensors.index.json'), JSON.stringify(index))
    ;(await import('node:fs')).renameSync(join(path, 'model.safetensors'), join(path, 'model-00002-of-00002.safetensors'))
    await expect(loadModel(path)).rejects.toThrow(
      '2 of 2 shards listed in model.safetensors.index.json are missing: model-00001-of-00002.safetensors, model.safetensors; get them and run again',
    )
  })

  it('an unknown architecture, no folder, no config', async () => {
    const path = copy('unknown')
    const config = JSON.parse(readFileSync(join(path, 'config.json'), 'utf8')) as object
    writeFileSync(join(path, 'config.json'), JSON.stringify({ ...config, model_type: 'mamba' }))
    await expect(loadModel(path)).rejects.toThrow(/model type "mamba" is not supported; known are gpt2, .*llama, .*bert/)
    await expect(loadModel(`${folder}/nothing`)).rejects.toThrow(/nothing/)
  })
})

describe('output', () => {
  it.skipIf(process.getuid?.() === 0)('a folder without write permission', async () => {
    const out = join(folder, 'locked')
    mkdirSync(out)
    chmodSync(out, 0o500)
    expect(await fails({ out })).toMatch(/^FileError: no permission for writing .*locked\/log\.jsonl .*change the permissions/)
    expect(await fails({ out: join(out, 'below') })).toMatch(
      /^FileError: no permission for making .*below; change the permissions/,
    )
  })

  it('a file where the folder should be', async () => {
    const out = join(folder, 'file')
    writeFileSync(out, '')
    expect(await fails({ out })).toMatch(/^FileError: .*(is a file where a folder is needed|a file is where a folder is needed)/)
  })

  it('the error comes before the first step', async () => {
    const events: string[] = []
    const run = async (): Promise<void> => {
      for await (const { event } of train(await addLora(model, { r: 2 }), { data: good, out: join(good, 'out') }))
        events.push(event)
    }
    await expect(run()).rejects.toThrow('a part of the path is a file where a folder is needed')
    expect(events).toEqual([])
  })
})
