/**
 * @file Merged checkpoints against PEFT's own merges and products in float64; shards, names, 16-bit types and tied heads kept.
 */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { matchTargets } from '../adapters/targets.js'
import { mergedWeight } from '../adapters/merge-weights.js'
import { loraAName, loraBName } from '../adapters/lora.js'
import { FileError, InvalidAdapterError, InvalidModelError, InvalidOptionError } from '../errors.js'
import type { TargetModule } from '../graph/target-module.js'
import type { HostTensor } from '../graph/types.js'
import { nodeFiles } from '../io/node-files.js'
import { narrow } from '../util/half.js'
import { openCheckpoint } from '../formats/checkpoint.js'
import type { LowRankDelta } from '../adapters/weight-delta.js'
import { mergeCheckpoint } from './checkpoint.js'
import { readAdapterFolder } from '../formats/peft.js'
import { encodeSafetensors, loadTensor, toFloat32 } from '../formats/safetensors.js'

const files = nodeFiles()
const golden = 'test/fixtures/golden/peft'
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lowrank-merge-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const loadAll = async (dir: string): Promise<Map<string, HostTensor>> => {
  const { weights } = await openCheckpoint(files, dir)
  const all = new Map<string, HostTensor>()
  for (const [name, tensor] of weights) all.set(name, await loadTensor(files, tensor))
  return all
}

/** Modules as the checkpoint's matrices suggest; enough to match the golden adapters. */
async function modulesOf(dir: string, kind: 'Linear' | 'Conv1D'): Promise<Map<string, TargetModule>> {
  const { weights } = await openCheckpoint(files, dir)
  const modules = new Map<string, TargetModule>()
  for (const [weight, { shape }] of weights) {
    if (shape.length !== 2 || !/proj|c_attn|c_fc/.test(weight)) continue
    const name = weight.replace('.weight', '')
    const [rows, columns] = shape as [number, number]
    const [inFeatures, outFeatures] = kind === 'Linear' ? [columns, rows] : [rows, columns]
    modules.set(name, {
      name,
      kind,
      weight,
      bias: undefined,
      input: '',
      output: '',
      inFeatures,
      outFeatures,
      isOutputHead: false,
    })
  }
  return modules
}

async function deltasOf(name: string): Promise<Map<string, LowRankDelta[]>> {
  const kind = name.startsWith('gpt2') ? 'Conv1D' : 'Linear'
  const { config, tensors } = await readAdapterFolder(files, join(golden, name, 'adapter-trained'))
  const targets = matchTargets(await modulesOf(join(golden, name, 'model'), kind), config)
  return new Map(
    targets.map(({ module, scale }) => [
      module.weight,
      [
        {
          module: module.name,
          kind,
          scale,
          A: toFloat32(tensors.get(loraAName(module.name))!),
          B: toFloat32(tensors.get(loraBName(module.name))!),
        },
      ],
    ]),
  )
}

/** A copy of the llama model in shards, in the given element type. */
async function shardedLlama(name: string, dtype: 'float32' | 'float16' | 'bfloat16'): Promise<string> {
  const dir = join(folder, name)
  const tensors = [...(await loadAll(join(golden, 'llama/model')))].map(([key, t]): [string, HostTensor] => [
    key,
    dtype === 'float32' ? t : { dtype, shape: t.shape, data: narrow(dtype, t.data as Float32Array) },
  ])
  const half = tensors.length >> 1
  const weightMap: Record<string, string> = {}
  for (const [i, part] of [tensors.slice(0, half), tensors.slice(half)].entries()) {
    const file = `model-0000${i + 1}-of-00002.safetensors`
    for (const [key] of part) weightMap[key] = file
    await files.write(join(dir, file), encodeSafetensors(part, { format: 'pt', part: String(i) }))
  }
  const total = tensors.reduce((sum, [, t]) => sum + t.data.byteLength, 0)
  await files.write(
    join(dir, 'model.safetensors.index.json'),
    JSON.stringify({ metadata: { total_size: total }, weight_map: weightMap }),
  )
  await files.write(join(dir, 'config.json'), await files.read(join(golden, 'llama/model/config.json')))
  await files.write(join(dir, 'tokenizer.json'), '{}')
  await files.write(join(dir, 'pytorch_model.bin'), 'pickle')
  return dir
}

const maxDifference = (a: Float32Array, b: Float32Array): number => a.reduce((max, v, i) => Math.max(max, Math.abs(v - b[i]!)), 0)

describe('golden merges of PEFT', () => {
  it.each([
    'gpt2',
    'gpt2-all-linear',
    'llama',
    'llama-all-linear',
    'llama-rslora',
    'llama-patterns',
    'mistral',
    'qwen2',
    'qwen3',
  ])('%s', async (name) => {
    const out = join(folder, 'golden', name)
    const source = join(golden, name, 'model')
    const deltas = await deltasOf(name)
    const { maxAbsDelta, mergedTensors } = await mergeCheckpoint(files, { source, out, deltas })
    expect(mergedTensors).toBe(deltas.size)
    const ours = await loadAll(out)
    const theirs = await loadAll(join(golden, name, 'merged'))
    const base = await loadAll(source)
    expect([...ours.keys()]).toEqual([...base.keys()])
    let largest = 0
    for (const [key, tensor] of theirs) {
      expect(ours.get(key)?.shape).toEqual(tensor.shape)
      expect(maxDifference(toFloat32(ours.get(key)!), toFloat32(tensor)), key).toBeLessThan(1e-6)
      largest = Math.max(largest, maxDifference(toFloat32(tensor), toFloat32(base.get(key)!)))
    }
    expect(largest).toBeGreaterThan(1e-3)
    expect(maxAbsDelta).toBeCloseTo(largest, 6)
    expect(await readFile(join(out, 'config.json'))).toEqual(await readFile(join(source, 'config.json')))
    expect(await readFile(join(out, 'generation_config.json'))).toEqual(await readFile(join(source, 'generation_config.json')))
  })
})

describe('mergedWeight', () => {
  it('agrees with a plain product in double precision, whatever the kind and the size', () => {
    let state = 7
    const random = (n: number) =>
      Float32Array.from({ length: n }, () => ((state = (state * 1103515245 + 12345) % 2 ** 31) / 2 ** 31) * 2 - 1)
    for (const [inFeatures, outFeatures, r] of [
      [3, 5, 2],
      [2050, 4, 3],
      [4, 1500, 1],
      [7, 7, 0],
    ] as const) {
      const A = random(r * inFeatures)
      const B = random(outFeatures * r)
      const W = random(inFeatures * outFeatures)
      const before = W.slice()
      for (const kind of ['Linear', 'Conv1D', 'Embedding'] as const) {
        const shape = kind === 'Linear' ? [outFeatures, inFeatures] : [inFeatures, outFeatures]
        const { weight, maxAbsDelta } = mergedWeight(W, kind, shape, A, B, 0.7)
        let largest = 0
        for (let o = 0; o < outFeatures; o++)
          for (let i = 0; i < inFeatures; i++) {
            let sum = 0
            for (let k = 0; k < r; k++) sum += B[o * r + k]! * A[k * inFeatures + i]!
            const at = kind === 'Linear' ? o * inFeatures + i : i * outFeatures + o
            largest = Math.max(largest, Math.abs(0.7 * sum))
            if (Math.abs(weight[at]! - (W[at]! + 0.7 * sum)) > 1e-6) expect.fail(`${kind} ${o},${i}: ${weight[at]}`)
          }
        expect(maxAbsDelta).toBeCloseTo(largest, 5)
        expect(W).toEqual(before)
      }
    }
  })
  it('keeps NaN in sight', () => {
    expect(
      mergedWeight(new Float32Array(4), 'Linear', [2, 2], Float32Array.of(1, NaN), Float32Array.of(0, 1), 1).maxAbsDelta,
    ).toBeNaN()
  })
})

describe('shards and 16-bit types', () => {
  it.each(['float32', 'float16', 'bfloat16'] as const)('keeps shards, names, %s and metadata', async (dtype) => {
    const source = await shardedLlama(`sharded-${dtype}`, dtype)
    const out = join(folder, `merged-${dtype}`)
    const deltas = await deltasOf('llama')
    await mergeCheckpoint(files, { source, out, deltas })
    expect(await readdir(out)).toEqual([
      'config.json',
      'lowrank_merge.json',
      'model-00001-of-00002.safetensors',
      'model-00002-of-00002.safetensors',
      'model.safetensors.index.json',
      'tokenizer.json',
    ])
    const [before, after] = [await openCheckpoint(files, source), await openCheckpoint(files, out)]
    expect(after.shards).toEqual(before.shards)
    expect(after.index).toEqual(before.index)
    const [base, ours] = [await loadAll(source), await loadAll(out)]
    for (const [key, tensor] of ours) {
      expect(tensor.dtype).toBe(dtype)
      const delta = deltas.get(key)?.[0]
      if (delta === undefined) expect(tensor).toEqual(base.get(key))
      else {
        const { weight } = mergedWeight(toFloat32(base.get(key)!), 'Linear', tensor.shape, delta.A, delta.B, delta.scale)
        expect(tensor.data).toEqual(dtype === 'float32' ? weight : narrow(dtype, weight))
      }
    }
    // What an earlier merge left that was killed at its beginning, or before its end, is written over; a finished one if told so.
    await files.write(join(folder, `killed-${dtype}/.lowrank_merge.json.0a1b2c3d-1-x-1.tmp`), '{')
    await mergeCheckpoint(files, { source, out: join(folder, `killed-${dtype}`), deltas })
    const again = { source, out, deltas: new Map() }
    await expect(mergeCheckpoint(files, again)).rejects.toThrow(
      /holds a finished model \(config\.json\) that an earlier merge or export wrote\. Choose another output folder, or replace it with overwrite \(--overwrite\)/,
    )
    expect(await loadAll(out)).toEqual(ours)
    await mergeCheckpoint(files, { ...again, overwrite: true })
    expect(await loadAll(out)).toEqual(base)
    await files.remove(join(out, 'config.json'))
    await mergeCheckpoint(files, { ...again, deltas })
    expect(await loadAll(out)).toEqual(ours)
  })

  it('adds several adapters in order', async () => {
    const source = join(golden, 'llama/model')
    const deltas = new Map([...(await deltasOf('llama'))].map(([k, [d]]) => [k, [d!, { ...d!, scale: -d!.scale }]]))
    const out = join(folder, 'sum')
    await mergeCheckpoint(files, { source, out, deltas })
    const [ours, base] = [await loadAll(out), await loadAll(source)]
    for (const [key, tensor] of ours) expect(maxDifference(toFloat32(tensor), toFloat32(base.get(key)!))).toBeLessThan(1e-6)
  })
})

describe('a head tied to the embedding', () => {
  it('becomes a tensor of its own, and the config says so', async () => {
    const source = join(golden, 'gpt2/model')
    const out = join(folder, 'untied')
    const embedding = (await loadAll(source)).get('transformer.wte.weight')!
    const [rows, columns] = embedding.shape as [number, number]
    const delta: LowRankDelta = {
      module: 'lm_head',
      kind: 'Linear',
      A: new Float32Array(columns).fill(1),
      B: new Float32Array(rows).fill(0.5),
      scale: 1,
    }
    await mergeCheckpoint(files, { source, out, deltas: new Map([['transformer.wte.weight', [delta]]]) })
    const merged = await loadAll(out)
    expect(merged.get('transformer.wte.weight')).toEqual(embedding)
    expect(
      maxDifference(
        toFloat32(merged.get('lm_head.weight')!),
        toFloat32(embedding).map((v) => v + 0.5),
      ),
    ).toBe(0)
    expect(JSON.parse(await files.readText(join(out, 'config.json')))).toMatchObject({
      tie_word_embeddings: false,
      model_type: 'gpt2',
    })
  })
  it('is listed in the index of a sharded model', async () => {
    const source = await shardedLlama('tied-shards', 'float32')
    const tied = (await loadAll(source)).get('model.embed_tokens.weight')!
    const [rows, columns] = tied.shape as [number, number]
    const delta: LowRankDelta = {
      module: 'new_head',
      kind: 'Linear',
      A: new Float32Array(columns),
      B: new Float32Array(rows),
      scale: 1,
    }
    const out = join(folder, 'tied-out')
    await mergeCheckpoint(files, { source, out, deltas: new Map([['model.embed_tokens.weight', [delta]]]) })
    const { weights, index } = await openCheckpoint(files, out)
    expect(weights.has('new_head.weight')).toBe(true)
    expect((index as { metadata: { total_size: number } }).metadata.total_size).toBe(
      [...weights.values()].reduce((s, w) => s + w.file.length, 0),
    )
  })
})

describe('refusals', () => {
  const source = join(golden, 'llama/model')
  const merge = async (out: string, deltas: Map<string, LowRankDelta[]> = new Map(), from = source) =>
    mergeCheckpoint(files, { source: from, out, deltas })

  it('never writes into the source', async () => {
    await expect(merge(`${source}/../model`)).rejects.toThrow(InvalidOptionError)
    await expect(merge(source)).rejects.toThrow(/is the source model's own folder; merging never changes the source/)
  })
  it('never writes over other files', async () => {
    const out = join(folder, 'precious')
    await files.write(join(out, 'thesis.txt'), 'x')
    await expect(merge(out)).rejects.toThrow(
      /precious" is not empty and holds no earlier merge or export \(thesis.txt\); choose an empty or new folder/,
    )
    await merge(join(folder, 'again'))
    await files.write(join(folder, 'again/thesis.txt'), 'x')
    for (const overwrite of [false, true])
      await expect(mergeCheckpoint(files, { source, out: join(folder, 'again'), deltas: new Map(), overwrite })).rejects.toThrow(
        /holds other files than an earlier merge or export \(thesis.txt\)/,
      )
    expect(await files.readText(join(folder, 'again/thesis.txt'))).toBe('x')
    await expect(merge(join(out, 'thesis.txt'))).rejects.toThrow(/is a file; choose a folder/)
  })
  it('names a weight that is not there or does not fit', async () => {
    const one: LowRankDelta = { module: 'm', kind: 'Linear', A: new Float32Array(3), B: new Float32Array(3), scale: 1 }
    await expect(merge(join(folder, 'x'), new Map([['nowhere.weight', [one]]]))).rejects.toThrow(/has no weight "nowhere.weight"/)
    await expect(merge(join(folder, 'x'), new Map([['model.layers.0.self_attn.q_proj.weight', [one]]]))).rejects.toThrow(
      /the adapter of m \(A with 3 numbers, B with 3\) does not fit weight "model.layers.0.self_attn.q_proj.weight" \[32, 32\]/,
    )
    expect(await files.exists(join(folder, 'x'))).toBe(false)
  })
  it('names a tensor whose result is not finite, and leaves no model behind', async () => {
    const deltas = await deltasOf('llama')
    const [[key, [delta]]] = [...deltas] as [[string, [LowRankDelta]]]
    const poisoned = new Map([[key, [{ ...delta, B: delta.B.map((v, i) => (i === 5 ? NaN : v)) }]]])
    const out = join(folder, 'poisoned')
    await expect(merge(out, poisoned)).rejects.toThrow(InvalidAdapterError)
    await expect(merge(out, poisoned)).rejects.toThrow(
      new RegExp(`merging gives NaN in weight "${key}", element \\d+; the base or the adapter holds NaN`),
    )
    expect(await readdir(out)).toEqual(['lowrank_merge.json'])
    const half = await shardedLlama('overflow', 'float16')
    await expect(merge(join(folder, 'overflowed'), new Map([[key, [{ ...delta, scale: 1e9 }]]]), half)).rejects.toThrow(
      /which float16 cannot hold/,
    )
  })
  it('passes on a full disk', async () => {
    const full = {
      ...files,
      write: async (path: string, content: Parameters<typeof files.write>[1]) => {
        if (path.endsWith('.safetensors')) throw new FileError(`no space left on the device while writing ${path}`)
        return files.write(path, content)
      },
    }
    const out = join(folder, 'full')
    await expect(mergeCheckpoint(full, { source, out, deltas: new Map() })).rejects.toThrow(
      /no space left on the device while writing .*model.safetensors/,
    )
    expect(await files.exists(join(out, 'config.json'))).toBe(false)
    await merge(out)
  })
})

describe('openCheckpoint', () => {
  const broken = async (name: string, change: (dir: string) => Promise<void>): Promise<string> => {
    const dir = await shardedLlama(name, 'float32')
    await change(dir)
    const error: unknown = await openCheckpoint(files, dir).then(
      () => undefined,
      (e: unknown) => e,
    )
    expect(error).toBeInstanceOf(InvalidModelError)
    return (error as Error).message
  }
  const INDEX = 'model.safetensors.index.json'
  const editIndex = (edit: (map: Record<string, unknown>) => void) => async (dir: string) => {
    const index = JSON.parse(await readFile(join(dir, INDEX), 'utf8')) as { weight_map: Record<string, unknown> }
    edit(index.weight_map)
    await writeFile(join(dir, INDEX), JSON.stringify(index))
  }
  it('missing shard', async () => {
    expect(await broken('b1', (dir) => rm(join(dir, 'model-00002-of-00002.safetensors')))).toMatch(
      /1 of 2 shards listed in model.safetensors.index.json are missing: model-00002-of-00002.safetensors/,
    )
  })
  it('tensor that its shard lacks, and one that the index lacks or has elsewhere', async () => {
    expect(
      await broken(
        'b2',
        editIndex((map) => (map['ghost.weight'] = 'model-00001-of-00002.safetensors')),
      ),
    ).toMatch(/1 tensors listed in .* are not in their shards: "ghost.weight" in model-00001/)
    expect(
      await broken(
        'b3',
        editIndex((map) => delete map['lm_head.weight']),
      ),
    ).toMatch(/holds tensor "lm_head.weight", which .* does not list/)
    expect(
      await broken(
        'b4',
        editIndex((map) => (map['lm_head.weight'] = 'model-00002-of-00002.safetensors')),
      ),
    ).toMatch(/"lm_head.weight", which .* says is in model-00002/)
  })
  it.each(['../secret.safetensors', '/etc/x', 'a/b', '', 5, 'C:\\x'])('index that names %s', async (file) => {
    expect(
      await broken(
        `b5-${String(file).length}`,
        editIndex((map) => (map['lm_head.weight'] = file)),
      ),
    ).toMatch(/tensor "lm_head.weight" is said to be in .*; expected the name of a file in the same folder/)
  })
  it('damaged index', async () => {
    expect(await broken('b6', (dir) => writeFile(join(dir, INDEX), '{'))).toMatch(/index.json is not valid JSON/)
    expect(await broken('b7', (dir) => writeFile(join(dir, INDEX), '{"weight_map":[]}'))).toMatch(
      /expected an object with a "weight_map"/,
    )
  })
  it('no weights, or a pickle', async () => {
    const dir = join(folder, 'pickle')
    await expect(openCheckpoint(files, dir)).rejects.toThrow(/does not exist/)
    await files.makeFolder(dir)
    await expect(openCheckpoint(files, dir)).rejects.toThrow(/holds no weights: expected model.safetensors/)
    await writeFile(join(dir, 'pytorch_model.bin'), '')
    await expect(openCheckpoint(files, dir)).rejects.toThrow(/pytorch_model.bin is no file of torch.save/)
  })
  it('a truncated shard is named', async () => {
    const message = await broken('b8', async (dir) => {
      const path = join(dir, 'model-00001-of-00002.safetensors')
      const bytes = await readFile(path)
      await writeFile(path, bytes.subarray(0, bytes.length - 10))
    })
    expect(message).toMatch(/model-00001-of-00002.safetensors: tensor ".*" ends at byte .* truncated/)
  })
})
