/** @file Many adapters on one model: switched, added up, mixed in a batch, swapped; each against the adapter alone. */
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { addLora, loadAdapter, type Adapter, type LoraOptions } from '../../src/adapter/adapter.js'
import { AdapterSet } from '../../src/adapter/adapter-set.js'
import type { Environment } from '../../src/environment.js'
import { FolderModel } from '../../src/model/folder-model.js'
import { logits } from '../../src/adapter/forward.js'
import { merge } from '../../src/adapter/merge.js'
import type { Model } from '../../src/model/model.js'
import type { Graph } from '../../src/graph/graph.js'
import type { HostTensor } from '../../src/graph/types.js'
import { ConfigReader, type Json } from '../../src/models/config-reader.js'
import { randomWeights } from '../../src/models/random.js'
import { generate } from '../../src/generate/generate.js'
import { evaluate } from '../../src/train/evaluate.js'
import { Random } from '../../src/util/rng.js'
import { relativeError } from '../models/golden.js'
import { gpt2Config, llamaConfig, randomRows, temporaryFolder, testEnvironment, writeRows } from '../support/training.js'

const golden = 'test/fixtures/golden/peft'

/** An environment that keeps every graph it was asked to compile. */
function spy(): { environment: Environment; graphs: Graph[]; runs: (readonly HostTensor[])[] } {
  const environment = testEnvironment()
  const { runtime } = environment
  const graphs: Graph[] = []
  const runs: (readonly HostTensor[])[] = []
  const createSession: typeof runtime.createSession = async (graph, options) => {
    graphs.push(graph)
    const session = await runtime.createSession(graph, options)
    return {
      release: () => session.release(),
      run: (feeds) => {
        runs.push(Object.values(feeds))
        return session.run(feeds)
      },
    }
  }
  return { environment: { ...environment, runtime: { ...runtime, createSession } }, graphs, runs }
}

function tiny(json: Record<string, Json>, environment = testEnvironment()): FolderModel {
  const config = new ConfigReader(json, 'tiny')
  return FolderModel.fromWeights(environment, config, randomWeights(config, 1))
}

/** An adapter whose every tensor is random, so that it does something. */
async function randomAdapter(model: Model, options: LoraOptions, seed: number): Promise<Adapter> {
  const adapter = await addLora(model, { ...options, seed })
  const random = new Random(seed)
  for (const [name, { data }] of adapter.tensors) {
    const values = data as Float32Array
    // A magnitude and a replaced tensor begin as the base's; they move a little.
    const begun = !name.includes('.lora_A') && !name.includes('.lora_B') && !name.includes('lora_embedding')
    for (let i = 0; i < values.length; i++) values[i] = (begun ? values[i]! : 0) + random.normal(0, 0.3)
  }
  return adapter
}

const rows = [[1, 2, 3, 4, 5, 6], [7, 8, 9], [10], [11, 12, 13, 14, 15], [3, 3]]

/** Each row alone with one subject: nothing is padded, nothing is shared. */
async function alone(subject: Model | Adapter, row: readonly number[]): Promise<ArrayLike<number>> {
  const [result] = await logits(subject, [row])
  return result!.data as Float32Array
}

async function expectRows(found: readonly HostTensor[], subjects: readonly (Model | Adapter)[]): Promise<void> {
  for (const [i, subject] of subjects.entries())
    expect(relativeError(found[i]!.data as Float32Array, await alone(subject, rows[i]!)), `row ${i}`).toBeLessThan(1e-5)
}

const heads = { ...llamaConfig, architectures: ['LlamaForSequenceClassification'], id2label: { 0: 'a', 1: 'b', 2: 'c' }, num_labels: 3, pad_token_id: 0 } // prettier-ignore

/** Different ranks, scales and layers; DoRA, biases and embeddings among them. */
const kinds: readonly [title: string, json: Record<string, Json>, options: readonly LoraOptions[]][] = [
  [
    'llama: ranks, patterns, rsLoRA',
    llamaConfig,
    [
      { r: 2, alpha: 7, targetModules: ['q_proj', 'v_proj'] },
      { r: 4, useRslora: true, targetModules: 'all-linear' },
      { r: 3, targetModules: ['down_proj', 'q_proj'], rankPattern: { down_proj: 1 }, alphaPattern: { q_proj: 11 } },
      { r: 4, targetModules: ['embed_tokens', 'lm_head', 'k_proj'] },
    ],
  ],
  [
    'gpt2: Conv1D, a tied head, DoRA and lora_bias',
    gpt2Config,
    [
      { r: 2, alpha: 4, targetModules: ['c_attn'] },
      { r: 4, useDora: true, targetModules: ['c_attn', 'c_fc'] },
      { r: 3, loraBias: true, targetModules: ['c_proj', 'c_fc'] },
      { r: 2, targetModules: ['wte', 'wpe'] },
    ],
  ],
  [
    'DoRA on embeddings and linear layers',
    llamaConfig,
    [
      { r: 4, useDora: true, targetModules: ['embed_tokens', 'q_proj'] },
      { r: 2, useDora: true, alpha: 3, targetModules: ['q_proj', 'o_proj'] },
    ],
  ],
]

describe.each(kinds)('%s', (_, json, options) => {
  const open = async (environment = testEnvironment()) => {
    const model = tiny(json, environment)
    const set = new AdapterSet(model)
    const adapters: Adapter[] = []
    for (const [i, option] of options.entries()) {
      adapters.push(await randomAdapter(model, option, i + 1))
      await set.add(`a${i}`, adapters[i]!)
    }
    return { model, set, adapters }
  }

  it('serves each adapter, and the base, as if it were alone', async () => {
    const { model, set, adapters } = await open()
    const base = await alone(model, rows[0]!)
    await expectRows(
      await logits(set, rows),
      rows.map(() => model),
    )
    for (const [i, adapter] of adapters.entries()) {
      set.setAdapter(`a${i}`)
      const found = await logits(set, rows)
      await expectRows(
        found,
        rows.map(() => adapter),
      )
      expect(relativeError(found[0]!.data as Float32Array, base)).toBeGreaterThan(1e-3)
      set.disableAdapter()
      await expectRows(
        await logits(set, rows),
        rows.map(() => model),
      )
      set.enableAdapter()
      expect(set.active).toEqual([`a${i}`])
    }
  })

  it('gives every row of a batch its own adapter, or none', async () => {
    const { model, set, adapters } = await open()
    const names = [`a${options.length - 1}`, null, 'a0', 'a1', 'a0']
    const subjects = [adapters.at(-1)!, model, adapters[0]!, adapters[1]!, adapters[0]!]
    await expectRows(await logits(set, rows, { adapters: names }), subjects)
    // The order of rows is free, and the set's active adapter does not matter.
    set.setAdapter('a1')
    await expectRows(await logits(set, rows, { adapters: [null, 'a1', 'a1', null, 'a0'] }), [model, adapters[1]!, adapters[1]!, model, adapters[0]!]) // prettier-ignore
  })

  it('gives every row of a batch a sum of adapters with scales of its own', async () => {
    const { set } = await open()
    const sums = [
      [{ name: 'a0', scale: 0.5 }, { name: 'a1', scale: -1.5 }],
      [{ name: 'a1' }, { name: 'a0', scale: 2 }],
      [{ name: 'a1', scale: 0.25 }],
      [{ name: 'a0', scale: 0 }],
      null,
    ] // prettier-ignore
    const found = await logits(set, rows, { adapters: sums })
    for (const [i, sum] of sums.entries()) {
      set.setAdapter(sum ?? [])
      const [chosen] = await logits(set, [rows[i]!])
      for (const name of set.names) set.setScale(name, sum?.find((each) => each.name === name)?.scale ?? 1)
      set.setAdapter((sum ?? []).map(({ name }) => name))
      const [expected] = await logits(set, [rows[i]!])
      for (const name of set.names) set.setScale(name, 1)
      expect(relativeError(chosen!.data as Float32Array, expected!.data as Float32Array)).toBeLessThan(1e-5)
      expect(relativeError(found[i]!.data as Float32Array, expected!.data as Float32Array), `row ${i}`).toBeLessThan(1e-5)
    }
    expect(relativeError(found[0]!.data as Float32Array, await alone(set.model, rows[0]!))).toBeGreaterThan(1e-3)
  })

  it('switches without a session and without tensors of its own', async () => {
    const { environment, graphs, runs } = spy()
    const { set } = await open(environment)
    const choices: (string | string[])[] = ['a0', 'a1', ['a0', 'a1'], [], 'a0', ['a0', 'a1'], 'a1', 'a0']
    const fed = new Map<string, HostTensor[]>()
    for (const choice of choices) {
      set.setAdapter(choice)
      await logits(set, [[1, 2]])
      const tensors = Object.values(set.serving().tensors)
      const key = JSON.stringify(choice)
      // The second time nothing is made anew: the same arrays are fed.
      if (fed.has(key)) expect(tensors.every((tensor, i) => tensor.data === fed.get(key)![i]!.data)).toBe(true)
      else fed.set(key, tensors)
    }
    expect(graphs).toHaveLength(1)
    const largest = Math.max(...[...graphs[0]!.initializers.values()].map(({ shape }) => shape.reduce((a, b) => a * b, 1)))
    const adapterSize = Math.max(...set.names.map((name) => set.adapter(name).parameters.count))
    for (const run of runs) for (const { data } of run) expect(data.length).toBeLessThanOrEqual(Math.max(adapterSize, largest))
    await logits(set, rows, { adapters: ['a0', null, 'a1', 'a0', null] })
    await logits(set, rows, { adapters: ['a1', 'a1', 'a1', null, 'a0'] })
    expect(graphs).toHaveLength(2)
  })
})

describe('several active adapters', () => {
  it('add up with their scales, as their merged sum does', async () => {
    const folder = temporaryFolder()
    const model = await FolderModel.open(`${golden}/llama/model`, testEnvironment())
    const options = [
      { r: 2, alpha: 8, targetModules: ['q_proj', 'down_proj'] },
      { r: 4, targetModules: ['q_proj', 'v_proj'] },
    ]
    const [a, b] = [await randomAdapter(model, options[0]!, 1), await randomAdapter(model, options[1]!, 2)]
    const set = new AdapterSet(model)
    await set.add('a', a)
    await set.add('b', b)
    set.setAdapter(['a', 'b'])
    await merge([a, b]).save(folder)
    const merged = await FolderModel.open(folder, testEnvironment())
    await expectRows(
      await logits(set, rows),
      rows.map(() => merged),
    )
    set.setScale('b', 0)
    await expectRows(
      await logits(set, rows),
      rows.map(() => a),
    )
    set.setScale('b', -0.5)
    set.setScale('a', 2)
    const scaled = [a, b].map((adapter, i) => {
      for (const [name, { data }] of adapter.tensors)
        if (name.includes('lora_B')) (data as Float32Array).forEach((x, k, all) => (all[k] = x * [2, -0.5][i]!))
      return adapter
    })
    await merge(scaled).save(`${folder}/scaled`)
    const sum = await FolderModel.open(`${folder}/scaled`, testEnvironment())
    await expectRows(
      await logits(set, rows),
      rows.map(() => sum),
    )
  })

  it('of golden folders: PEFT adapters by name', async () => {
    const model = await FolderModel.open(`${golden}/llama/model`, testEnvironment())
    const set = new AdapterSet(model)
    await set.load('trained', `${golden}/llama/adapter-trained`)
    await set.load('first', `${golden}/llama/adapter`)
    const [trained, first] = [set.adapter('trained'), set.adapter('first')]
    await expectRows(await logits(set, rows, { adapters: ['first', 'trained', null, 'first', 'trained'] }), [first, trained, model, first, trained]) // prettier-ignore
  })
})

describe('evaluate and generate', () => {
  it('take what is active in the set', async () => {
    const data = writeRows(join(temporaryFolder(), 'rows.jsonl'), randomRows(6))
    const model = tiny(llamaConfig)
    const set = new AdapterSet(model)
    const adapter = await randomAdapter(model, { r: 3, useDora: true, targetModules: ['q_proj', 'up_proj'] }, 1)
    await set.add('one', adapter)
    const base = await evaluate(model, { data })
    expect((await evaluate(set, { data })).loss).toBeCloseTo(base.loss, 5)
    set.setAdapter('one')
    const alone = await evaluate(adapter, { data })
    expect((await evaluate(set, { data })).loss).toBeCloseTo(alone.loss, 5)
    expect(Math.abs(alone.loss - base.loss)).toBeGreaterThan(1e-3)
    const prompt = { inputIds: [1, 2, 3], maxNewTokens: 10 }
    expect((await generate(set, prompt)).ids).toEqual((await generate(adapter, prompt)).ids)
    set.disableAdapter()
    expect((await generate(set, prompt)).ids).toEqual((await generate(model, prompt)).ids)
  })
})

describe('what is kept for mixed batches', () => {
  const options = (r: number): LoraOptions => ({ r, alpha: 2 * r, targetModules: ['q_proj', 'down_proj'] })

  it('serves more adapters than it keeps, of growing ranks, that come, change and go', async () => {
    const model = tiny(llamaConfig)
    const set = new AdapterSet(model, { maxMixed: 2 })
    const adapters: Adapter[] = []
    for (let i = 0; i < 7; i++) {
      adapters.push(await randomAdapter(model, options(1 + (i % 4)), i + 1))
      await set.add(`a${i}`, adapters[i]!)
    }
    const random = new Random(3)
    for (let pass = 0; pass < 30; pass++) {
      if (pass % 5 === 4) {
        const i = random.integer(7)
        adapters[i] = await randomAdapter(model, options(1 + random.integer(5)), 100 + pass)
        if (pass % 2 === 0) await set.replace(`a${i}`, adapters[i]!)
        else {
          set.remove(`a${i}`)
          await set.add(`a${i}`, adapters[i]!)
        }
      }
      const chosen = rows.map(() => random.integer(8))
      const found = await logits(set, rows, { adapters: chosen.map((i) => (i === 7 ? null : `a${i}`)) })
      await expectRows(
        found,
        chosen.map((i) => adapters[i] ?? model),
      )
    }
  })

  it('stays as it is for a run that has begun, whatever is asked for meanwhile', async () => {
    const model = tiny(llamaConfig)
    const set = new AdapterSet(model, { maxMixed: 1 })
    const adapters: Adapter[] = []
    for (let i = 0; i < 6; i++) {
      adapters.push(await randomAdapter(model, options(2), i + 1))
      await set.add(`a${i}`, adapters[i]!)
    }
    const chosen = Array.from({ length: 24 }, (_, i) => rows.map((_, row) => (i * 5 + row * (1 + (i % 3))) % 6))
    // All begin before any has ended.
    const found = await Promise.all(chosen.map((row) => logits(set, rows, { adapters: row.map((i) => `a${i}`) })))
    for (const [i, row] of chosen.entries())
      await expectRows(
        found[i]!,
        row.map((k) => adapters[k]!),
      )
    for (const name of set.names) set.remove(name)
    await expectRows(
      await logits(set, rows, { adapters: rows.map(() => null) }),
      rows.map(() => model),
    )
  })

  it('lets no numbers of one adapter into the rows of another, however large they are', async () => {
    const model = tiny(llamaConfig)
    const set = new AdapterSet(model)
    const [good, huge] = [await randomAdapter(model, options(2), 1), await randomAdapter(model, options(2), 2)]
    for (const [name, { data }] of huge.tensors) if (name.includes('lora_A')) (data as Float32Array).fill(3e38)
    await set.add('good', good)
    await set.add('huge', huge)
    const found = await logits(set, rows, { adapters: ['good', 'huge', null, 'huge', 'good'] })
    for (const [i, subject] of [good, undefined, model, undefined, good].entries())
      if (subject !== undefined) expect(relativeError(found[i]!.data as Float32Array, await alone(subject, rows[i]!))).toBeLessThan(1e-5) // prettier-ignore
    expect([...(found[1]!.data as Float32Array)].every(Number.isFinite)).toBe(false)
    const [, tensor] = [...huge.tensors].find(([name]) => name.includes('lora_B'))!
    ;(tensor.data as Float32Array)[0] = NaN
    await expect(set.add('broken', huge)).rejects.toThrow('q_proj has numbers that are not finite')
  })

  it('copies nothing for what was asked for before', async () => {
    const model = tiny(llamaConfig)
    const set = new AdapterSet(model)
    for (let i = 0; i < 4; i++) await set.add(`a${i}`, await randomAdapter(model, options(3), i + 1))
    const data = (rows: Parameters<AdapterSet['servingRows']>[0]): unknown[] =>
      Object.entries(set.servingRows(rows).tensors).flatMap(([name, tensor]) =>
        name.startsWith('adapter_') ? [] : [tensor.data.buffer],
      )
    const before = data(['a0', 'a1', 'a2'])
    const after = data(['a2', null, [{ name: 'a0' }]])
    expect(after.length).toBe(before.length)
    expect(after.every((each, i) => each === before[i])).toBe(true)
    // There is room for one that is new, whose rank fits.
    expect(data(['a3']).every((each, i) => each === before[i])).toBe(true)
  })
})

describe('adapters that replace tensors of the base', () => {
  it('serves heads of their own, and biases, one adapter at a time', async () => {
    const model = tiny(heads)
    const set = new AdapterSet(model)
    const options: LoraOptions[] = [
      { r: 2, targetModules: ['q_proj'] },
      { r: 3, targetModules: ['v_proj'] },
    ]
    const adapters = await Promise.all(options.map((option, i) => randomAdapter(model, option, i + 1)))
    expect(adapters[0]!.tensors.has('base_model.model.score.weight')).toBe(true)
    for (const [i, adapter] of adapters.entries()) await set.add(`a${i}`, adapter)
    for (const i of [0, 1, 0]) {
      set.setAdapter(`a${i}`)
      await expectRows(
        await logits(set, rows),
        rows.map(() => adapters[i]!),
      )
    }
    set.disableAdapter()
    await expectRows(
      await logits(set, rows),
      rows.map(() => model),
    )
    expect(() => set.setAdapter(['a0', 'a1'])).toThrow('the adapters "a0" and "a1" both replace "base_model.model.score.weight"')
    await expect(logits(set, [[1]], { adapters: ['a0'] })).rejects.toThrow('cannot serve single rows of a batch')
  })

  it('serves trained tokens beside a plain adapter', async () => {
    const model = tiny(llamaConfig)
    const set = new AdapterSet(model)
    const tokens = await randomAdapter(model, { targetModules: ['q_proj'], r: 2, trainableTokenIndices: [3, 9] }, 1)
    const plain = await randomAdapter(model, { targetModules: ['q_proj'], r: 2 }, 2)
    await set.add('tokens', tokens)
    await set.add('plain', plain)
    for (const [name, subject] of [
      ['tokens', tokens],
      ['plain', plain],
    ] as const) {
      set.setAdapter(name)
      await expectRows(
        await logits(set, rows),
        rows.map(() => subject),
      )
    }
    await expectRows(
      await logits(set, rows, { adapters: rows.map(() => 'plain') }),
      rows.map(() => plain),
    )
    const other = await randomAdapter(model, { targetModules: ['q_proj'], r: 2, trainableTokenIndices: [4] }, 3)
    await expect(set.add('other', other)).rejects.toThrow('trains other rows of model.embed_tokens')
    expect(set.names).toEqual(['tokens', 'plain'])
  })
})

// A tied head may be saved alone, which leaves the embedding the base's: no rows that are fed could be those of both.
describe.each([
  ['its own head', llamaConfig, ['embed_tokens', 'lm_head']],
  ['a tied head', { ...llamaConfig, tie_word_embeddings: true }, ['embed_tokens', 'lm_head']],
])('trained tokens of a model with %s', (_, json, modules) => {
  it.each(modules.flatMap((module) => [false, true].map((first) => [module, first] as const)))(
    'leave alone an adapter with a saved %s (added first: %s)',
    async (module, first) => {
      const model = tiny(json)
      const adapters = {
        tokens: await randomAdapter(model, { targetModules: ['q_proj'], r: 2, trainableTokenIndices: [3, 9] }, 1),
        saved: await randomAdapter(model, { targetModules: ['q_proj'], r: 2, modulesToSave: [module] }, 2),
        plain: await randomAdapter(model, { targetModules: ['q_proj'], r: 2 }, 3),
      }
      const set = new AdapterSet(model)
      const names = first ? (['saved', 'tokens', 'plain'] as const) : (['tokens', 'saved', 'plain'] as const)
      for (const name of names) await set.add(name, adapters[name])
      for (const name of names) {
        set.setAdapter(name)
        await expectRows(await logits(set, rows), rows.map(() => adapters[name])) // prettier-ignore
      }
      await expectRows(await logits(set, rows, { adapters: rows.map(() => 'plain') }), rows.map(() => adapters.plain)) // prettier-ignore
    },
  )
})

describe('replacing an adapter', () => {
  it('honours ranks, alphas and patterns of the new one, without a session', async () => {
    const folder = temporaryFolder()
    const { environment, graphs } = spy()
    const model = tiny(llamaConfig, environment)
    const set = new AdapterSet(model, { targetModules: ['q_proj', 'v_proj'] })
    await set.add('task', await randomAdapter(model, { r: 2, alpha: 2, targetModules: ['q_proj'] }, 1))
    set.setAdapter('task')
    await logits(set, rows)
    const pattern = { r: 4, alpha: 8, targetModules: ['q_proj', 'v_proj'], rankPattern: { 'layers.0.self_attn.q_proj': 1 }, alphaPattern: { v_proj: 32 } } // prettier-ignore
    const other = await randomAdapter(model, pattern, 2)
    await other.save(folder)
    const swapped = await set.replace('task', folder)
    expect(swapped.targets.map(({ r, scale }) => [r, scale])).toEqual([[1, 8], [4, 8], [4, 2], [4, 8]]) // prettier-ignore
    const found = await logits(set, rows)
    expect(set.active).toEqual(['task'])
    expect(graphs).toHaveLength(1)
    const fresh = await loadAdapter(tiny(llamaConfig), folder)
    await expectRows(
      found,
      rows.map(() => fresh),
    )
  })

  it('takes what was trained on, and refuses what needs another graph', async () => {
    const model = tiny(llamaConfig)
    const set = new AdapterSet(model)
    const adapter = await randomAdapter(model, { r: 2, targetModules: ['q_proj'] }, 1)
    await set.add('task', adapter)
    set.setAdapter('task')
    const before = await logits(set, rows)
    adapter.parameters.data.fill(0.1)
    expect((await logits(set, rows))[0]!.data).toEqual(before[0]!.data)
    await set.replace('task', adapter)
    await expectRows(
      await logits(set, rows),
      rows.map(() => adapter),
    )
    const elsewhere = await randomAdapter(model, { r: 2, targetModules: ['o_proj'] }, 1)
    await expect(set.replace('task', elsewhere)).rejects.toThrow(
      'changes model.layers.0.self_attn.o_proj in a way that no adapter',
    )
    await expectRows(
      await logits(set, rows),
      rows.map(() => adapter),
    )
  })
})

describe('mistakes', () => {
  it('are named', async () => {
    const model = tiny(llamaConfig)
    const set = new AdapterSet(model)
    const adapter = await randomAdapter(model, { r: 2 }, 1)
    await set.add('one', adapter)
    await expect(set.add('one', adapter)).rejects.toThrow('the set has an adapter "one" already')
    await expect(set.add('', adapter)).rejects.toThrow('needs a name')
    await expect(set.add('two', await randomAdapter(tiny(llamaConfig), { r: 1 }, 1))).rejects.toThrow('belongs to another model')
    expect(() => set.setAdapter('two')).toThrow('the set has no adapter "two"; it has one')
    expect(() => set.setAdapter(['one', 'one'])).toThrow('named twice')
    expect(() => set.setAdapter([{ name: 'one', scale: Infinity }])).toThrow('a finite scale')
    expect(() => set.setScale('one', NaN)).toThrow('must be a finite number')
    await expect(logits(set, rows, { adapters: [[{ name: 'one' }, { name: 'one', scale: 2 }]] })).rejects.toThrow('1 adapters')
    const row = [{ name: 'one' }, { name: 'one', scale: 2 }]
    await expect(logits(set, rows, { adapters: rows.map(() => row) })).rejects.toThrow('"one" is named twice; give it a scale')
    await expect(logits(set, rows, { adapters: [[{ name: 'one', scale: NaN }]] })).rejects.toThrow(
      'must be a list of the adapters',
    )
    expect(() => new AdapterSet(model, { maxMixed: -1 })).toThrow('maxMixed must be a whole number')
    await expect(logits(set, rows, { adapters: ['one'] })).rejects.toThrow('1 adapters were named for a batch of 5 rows')
    await expect(logits(model, rows, { adapters: rows.map(() => null) })).rejects.toThrow('only with an AdapterSet')
    await expect(logits(model, [[99]])).rejects.toThrow("token id 99 is not in the model's vocabulary of 17")
    set.setAdapter('one')
    set.remove('one')
    expect([set.names, set.active]).toEqual([[], []])
  })

  it('a convolution cannot tell the rows of a batch apart', async () => {
    const model = await FolderModel.open(`${golden}/vit/model`, testEnvironment())
    const set = new AdapterSet(model)
    const adapter = await addLora(model, { r: 2, targetModules: ['projection'], taskType: null })
    await set.add('patches', adapter)
    expect(() => set.servingRows([null])).toThrow('is a convolution')
  })
})
