/** @file A run is continued only on what it began with: every byte of it. */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { addLora, loadModel, train, type LoraOptions, type Model, type TrainOptions } from '../../src/index.js'
import { goldenRows } from '../cli/golden-rows.js'
import { golden } from '../cli/run-cli.js'
import { randomRows, runTraining, temporaryFolder, testEnvironment, tinyModel, writeRows } from '../support/training.js'

const folder = temporaryFolder()
const model = join(folder, 'model')
const data = join(folder, 'rows.jsonl')
const evalData = writeRows(join(folder, 'eval.jsonl'), randomRows(3))
const common: TrainOptions = { data, batchSize: 2, steps: 2, seed: 1 }
let counter = 0

beforeAll(async () => {
  cpSync(join(golden, 'llama', 'model'), model, { recursive: true })
  for (const name of ['tokenizer.json', 'tokenizer_config.json']) cpSync(join('demo/base', name), join(model, name))
  mkdirSync(join(model, 'additional_chat_templates'))
  for (const name of ['chat_template', 'additional_chat_templates/tool_use', 'additional_chat_templates/rag'])
    writeFileSync(join(model, `${name}.jinja`), '{{ messages[0].content }}')
  writeFileSync(data, await goldenRows('llama'))
})

const open = (): Promise<Model> => loadModel(model, { threads: 1 })

/** Leaves a run after its first step. */
async function begun(lora: LoraOptions = {}, options: Partial<TrainOptions> = {}): Promise<string> {
  const out = join(folder, `out-${++counter}`)
  const adapter = await addLora(await open(), { r: 2, ...lora })
  for await (const event of train(adapter, { ...common, ...options, out })) if (event.event === 'step') break
  return out
}

const resumed = async (out: string, lora: LoraOptions = {}, options: Partial<TrainOptions> = {}): Promise<unknown> =>
  runTraining(await addLora(await open(), { r: 2, ...lora }), { ...common, ...options, out, resume: true })

/** Changes a file for the time of a task. */
async function changed(path: string, change: (bytes: Buffer) => Buffer, task: () => Promise<void>): Promise<void> {
  const before = readFileSync(path)
  writeFileSync(path, change(Buffer.from(before)))
  try {
    await task()
  } finally {
    writeFileSync(path, before)
  }
}

const flip = (bytes: Buffer): Buffer => {
  bytes[Math.floor(bytes.length / 2)]! ^= 1
  return bytes
}
const edit = (change: (json: Record<string, unknown>) => void) => (bytes: Buffer) => {
  const json = JSON.parse(bytes.toString()) as Record<string, unknown>
  change(json)
  return Buffer.from(JSON.stringify(json))
}

describe('refuses', () => {
  it('fewer steps than were made', async () => {
    const out = await begun({}, { steps: 3 })
    await expect(resumed(out, {}, { steps: 3, checkpointEvery: 1 })).resolves.toBeDefined()
    await expect(resumed(out, {}, { steps: 2 })).rejects.toThrow(
      `cannot resume from ${out}: the run there has made 3 steps, and 2 are asked for; give at least as many (steps, --steps, or epochs, --epochs), or another folder (out, --out)`,
    )
  })

  it('weights that differ by a bit in the middle of the file', async () => {
    const out = await begun()
    await changed(join(model, 'model.safetensors'), flip, () =>
      expect(resumed(out)).rejects.toThrow('written with other settings (the weights of the base model). Give the same'),
    )
    await resumed(out)
  })

  it('rows of equal length with another token in the middle', async () => {
    const out = await begun()
    const other = (bytes: Buffer): Buffer => {
      const lines = bytes.toString().split('\n')
      const at = Math.floor(lines.length / 2)
      lines[at] = lines[at]!.replace(/(\d)(?=\D*$)/, (digit) => (digit === '1' ? '2' : '1'))
      return Buffer.from(lines.join('\n'))
    }
    expect(other(readFileSync(data)).length).toBe(readFileSync(data).length)
    await changed(data, other, () => expect(resumed(out)).rejects.toThrow('(the rows of data (--data))'))
  })

  it('another config.json, but not other notes in it', async () => {
    const out = await begun()
    const path = join(model, 'config.json')
    await changed(path, edit((json) => (json['rms_norm_eps'] = 1e-3)), () => expect(resumed(out)).rejects.toThrow("(the base model's config.json)")) // prettier-ignore
    await changed(
      path,
      edit((json) => (json['transformers_version'] = '9.9')),
      async () => void (await resumed(out)),
    )
  })

  it.each<[string, (bytes: Buffer) => Buffer]>([
    ['tokenizer.json', edit((json) => (json['version'] = '2.0'))],
    ['tokenizer_config.json', edit((json) => (json['model_max_length'] = 7))],
    ['chat_template.jinja', () => Buffer.from('{{ messages[0].role }}')],
    ['additional_chat_templates/tool_use.jinja', () => Buffer.from('{{ messages[0].role }}')],
    ['additional_chat_templates/rag.jinja', () => Buffer.from('{{ messages[0].role }}')],
  ])('another tokenizer or chat template: %s', async (name, change) => {
    const out = await begun()
    await changed(join(model, name), change, () => expect(resumed(out)).rejects.toThrow('(the tokenizer or its chat template)'))
  })

  it.each<[string, LoraOptions, LoraOptions]>([
    ['gaussian', {}, { initLoraWeights: 'gaussian' }],
    ['pissa', {}, { initLoraWeights: 'pissa' }],
    ['the default', { initLoraWeights: 'olora' }, {}],
    ['another seed of what is subtracted', { initLoraWeights: 'pissa_niter_1', seed: 1 }, { initLoraWeights: 'pissa_niter_1', seed: 2 }], // prettier-ignore
    ['a branch with a bias', {}, { loraBias: true }],
    ['DoRA', {}, { useDora: true }],
  ])('another initialisation or kind: %s', async (_name, before, now) => {
    const out = await begun(before)
    await expect(resumed(out, now)).rejects.toThrow('(what is trained (layers, ranks, scales, dropout or initialisation))')
    await resumed(out, before)
  })

  it('other tensors that stay as they begin (LoRA-FA), which no checkpoint holds', async () => {
    const out = await begun({ freezeA: true, seed: 1 })
    await expect(resumed(out, { freezeA: true, seed: 2 })).rejects.toThrow('(the tensors of the adapter that stay as they begin)')
    await resumed(out, { freezeA: true, seed: 1 })
  })

  it('other rows to evaluate on, where they decide when to stop', async () => {
    const other = writeRows(join(folder, 'other.jsonl'), randomRows(3, 11))
    const judged = { evalData, earlyStopping: 5 }
    const out = await begun({}, judged)
    await expect(resumed(out, {}, { ...judged, evalData: other })).rejects.toThrow(
      '(the rows of evalData (--eval-data), which decide when to stop)',
    )
    const free = await begun({}, { evalData })
    await resumed(free, {}, { evalData: other })
  })

  it('weights in memory with another number', async () => {
    const out = join(folder, 'in-memory')
    const rows = writeRows(join(folder, 'tiny.jsonl'), randomRows(6))
    const run = (seed: number, resume: boolean): Promise<unknown> => {
      const adapter = createAdapter(tinyModel(undefined, testEnvironment(), seed), { r: 2 })
      return Promise.resolve(adapter).then((subject) =>
        runTraining(subject, { ...common, data: rows, out, resume, checkpointEvery: 1 }),
      )
    }
    const { createAdapter } = await import('../../src/adapter/adapter.js')
    await run(1, false)
    await expect(run(2, true)).rejects.toThrow('(the weights of the base model)')
  })
})

describe('accepts', () => {
  it('the same in another place, and another seed of what the checkpoint replaces', async () => {
    const out = await begun({ seed: 1 })
    const moved = join(folder, 'moved')
    cpSync(model, moved, { recursive: true })
    cpSync(data, join(folder, 'moved.jsonl'))
    const adapter = await addLora(await loadModel(moved, { threads: 1 }), { r: 2, seed: 9 })
    await runTraining(adapter, { ...common, data: join(folder, 'moved.jsonl'), out, resume: true })
  })
})
