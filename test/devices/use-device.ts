/**
 * @file A process that uses a model on a device and on the CPU as a user would, and prints one JSON line for each: training,
 * logits, several adapters, merging, generation.
 *
 * Arguments: device, then cases: a golden model by name or another by folder, `+float16` or `+bfloat16` behind it for weights
 * narrowed to that type, `+int8` or `+int4` for a base held so. With LOWRANK_TEST_WITHOUT_FLOAT16=1 the device's graphs are made
 * for shaders that know no 16-bit floats, whatever the GPU knows.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { encodeSafetensors } from '../../src/formats/safetensors.js'
import type { HostTensor } from '../../src/graph/types.js'
import { AdapterSet, addLora, generate, generateBatch, loadAdapter, logits, merge, train, type Adapter } from '../../src/index.js'
import { openModel } from '../../src/load-model.js'
import type { Model } from '../../src/model/model.js'
import { nodeEnvironment, type EnvironmentOptions } from '../../src/node-environment.js'
import type { BaseScheme } from '../../src/quantize/index.js'
import { lowerForDevice } from '../../src/runtime/device/lower-for-device.js'
import type { Device, Runtime } from '../../src/runtime/runtime.js'
import { narrow } from '../../src/util/half.js'
import { floats, relativeError, tensorsOf } from '../models/golden.js'

/** What is printed for a case. Errors are relative: of a loss to the CPU's, of logits norm-wise. */
export interface UseResult {
  readonly name: string
  /** The worst of twenty steps of AdamW. */
  readonly lossError: number
  /** Of the adapter that the CPU trained. */
  readonly logitsError: number
  /** Of a batch whose rows have two adapters, and none. */
  readonly mixedError: number
  /** Of the merged model by the adapter beside its base, both on the device. */
  readonly mergedError: number
  /** Of a batch whose rows have adapters of their own, of the base, of an adapter, and of a beam search with another. */
  readonly tokens: { readonly cpu: readonly string[]; readonly device: readonly string[] }
  readonly warnings: readonly string[]
}

const STEPS = 20
const [device, ...cases] = process.argv.slice(2) as [Device, ...string[]]
const folder = mkdtempSync(join(tmpdir(), 'lowrank-device-'))

/** A runtime that is told that the GPU has no 16-bit floats. */
function withoutFloat16(runtime: Runtime): Runtime {
  return {
    ...runtime,
    createSession: (graph, options) => runtime.createSession(lowerForDevice(graph, runtime.device, { float16: false }), options),
  }
}

function open(path: string, where: Device, options: EnvironmentOptions): Promise<Model> {
  const environment = nodeEnvironment({ ...options, device: where, threads: 1 })
  const forced = where === 'webgpu' && process.env['LOWRANK_TEST_WITHOUT_FLOAT16'] === '1'
  return openModel(path, forced ? { ...environment, runtime: withoutFloat16(environment.runtime) } : environment)
}

/** A copy of a model's folder with its weights in 16 bits. */
async function narrowed(path: string, dtype: 'float16' | 'bfloat16'): Promise<string> {
  const copy = join(folder, `${basename(path)}-${dtype}`)
  cpSync(path, copy, { recursive: true })
  const tensors = await tensorsOf(join(path, 'model.safetensors'))
  const halves: [string, HostTensor][] = []
  for (const [name, { shape }] of tensors) halves.push([name, { dtype, shape, data: narrow(dtype, await floats(tensors, name)) }])
  writeFileSync(join(copy, 'model.safetensors'), encodeSafetensors(halves))
  return copy
}

/** Rows of several lengths over the whole vocabulary. */
function writeRows(vocabulary: number): string {
  const path = join(folder, `rows-${vocabulary}.jsonl`)
  const row = (i: number): number[] => Array.from({ length: 7 + (i % 5) }, (_, k) => (1 + i * 131 + k * 37) % vocabulary)
  writeFileSync(path, Array.from({ length: 16 }, (_, i) => JSON.stringify({ input_ids: row(i) })).join('\n'))
  return path
}

/** A new adapter after twenty steps, and their losses. */
async function trained(model: Model, data: string): Promise<{ adapter: Adapter; losses: number[] }> {
  const adapter = await addLora(model, { r: 4, alpha: 8, seed: 1 })
  const losses: number[] = []
  for await (const event of train(adapter, { data, steps: STEPS, batchSize: 4, learningRate: 5e-3, shuffle: false }))
    if (event.event === 'step') losses.push(event.loss)
  return { adapter, losses }
}

const joined = (results: readonly HostTensor[]): number[] => results.flatMap(({ data }) => Array.from(data as Float32Array))

/** What an adapter gives on its model, with another one beside it. */
async function served(
  model: Model,
  first: Adapter,
  rows: readonly (readonly number[])[],
): Promise<{ readonly logits: number[]; readonly mixed: number[]; readonly tokens: string[] }> {
  const set = new AdapterSet(model)
  await set.add('trained', first)
  const second = await addLora(model, { r: 2, seed: 2 })
  second.parameters.data.forEach((_, i, all) => (all[i] = Math.sin(i) / 4))
  await set.add('other', second)
  const prompts = rows.map((row, i) => ({ inputIds: row.slice(0, 2 + i) }))
  const adapters = ['other', null, 'trained', 'other'] as const
  const texts = [
    ...(await generateBatch(set, prompts.map((prompt, i) => ({ ...prompt, adapter: adapters[i]! })), { maxNewTokens: 8 })), // prettier-ignore
    await generate(model, { ...prompts[3]!, maxNewTokens: 12 }),
    await generate(first, { ...prompts[2]!, maxNewTokens: 12 }),
    await generate(second, { ...prompts[1]!, maxNewTokens: 12, beams: 3 }),
  ]
  return {
    logits: joined(await logits(first, rows)),
    mixed: joined(await logits(set, rows, { adapters })),
    tokens: texts.map(({ ids }) => ids.join(' ')),
  }
}

async function use(name: string): Promise<UseResult> {
  const [source, ...modifiers] = name.split('+') as [string, ...string[]]
  const stored = modifiers.find((m): m is 'float16' | 'bfloat16' => m === 'float16' || m === 'bfloat16')
  const base = modifiers.find((m): m is BaseScheme => m === 'int8' || m === 'int4')
  const plain = source.includes('/') ? source : `test/fixtures/golden/peft/${source}/model`
  const path = stored === undefined ? plain : await narrowed(plain, stored)
  const warnings: string[] = []
  const options = base === undefined ? {} : { base }
  const cpu = await open(path, 'cpu', options)
  const other = await open(path, device, { ...options, onWarning: (warning) => void warnings.push(warning) })

  const data = writeRows(cpu.vocabularySize)
  const rows = readFileSync(data, 'utf8').split('\n').slice(0, 4).map((line) => (JSON.parse(line) as { input_ids: number[] }).input_ids) // prettier-ignore
  // The runtime forgets its shaders with its last session, and a run of training gives its sessions back.
  await logits(other, rows)
  const [expected, found] = [await trained(cpu, data), await trained(other, data)]
  const lossErrors = found.losses.map((loss, i) => Math.abs(loss / expected.losses[i]! - 1))

  const saved = join(folder, 'adapter')
  await expected.adapter.save(saved)
  const again = await loadAdapter(other, saved)
  const [here, there] = [await served(cpu, expected.adapter, rows), await served(other, again, rows)]

  const out = join(folder, 'merged')
  await merge(again).save(out)
  const merged = joined(await logits(await open(out, device, {}), rows))
  rmSync(out, { recursive: true })
  rmSync(saved, { recursive: true })

  // A NaN is not below any bound, but JSON has no NaN.
  const finite = (x: number): number => (Number.isFinite(x) ? x : 1e9)
  return {
    name,
    lossError: finite(lossErrors.length === STEPS ? Math.max(...lossErrors) : NaN),
    logitsError: finite(relativeError(there.logits, here.logits)),
    mixedError: finite(relativeError(there.mixed, here.mixed)),
    mergedError: finite(relativeError(merged, there.logits)),
    tokens: { cpu: here.tokens, device: there.tokens },
    warnings,
  }
}

for (const name of cases) process.stdout.write(`${JSON.stringify(await use(name))}\n`)
rmSync(folder, { recursive: true })
process.exit(0)
