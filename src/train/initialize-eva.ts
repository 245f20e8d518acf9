/** @file EVA (Paischer et al., 2024): A begins as the principal components of what its layer reads on the data. */
import { LoraPart } from '../adapters/lora.js'
import {
  noMoments,
  principalComponents,
  shareRanks,
  type Moments,
  type PrincipalComponents,
} from '../adapters/principal-components.js'
import { matchTargets } from '../adapters/targets.js'
import { Adapter } from '../adapter/adapter.js'
import type { Model } from '../model/model.js'
import { createModelSession } from '../base/quantized-base.js'
import type { Batch } from '../data/batch.js'
import { InvalidDataError, InvalidOptionError } from '../errors.js'
import { float32 } from '../graph/constants.js'
import { GraphBuilder } from '../graph/builder.js'
import type { Graph } from '../graph/graph.js'
import type { HostTensor } from '../graph/types.js'
import { IGNORED_LABEL } from '../losses/causal-lm.js'
import { checkRowData, type RowData } from '../data/row-data.js'
import { rowReadingKeys, type RowReading } from '../data/row-reading.js'
import { Random } from '../util/rng.js'
import { chooseObjective, openTaskDataset, openTrainRows } from './open-dataset.js'
import { checkKeys, type OptionKeys } from '../util/option-keys.js'
import { snapshot } from '../util/snapshot.js'
import { checkArgument } from '../util/arguments.js'
import { adapterArgument } from '../adapter/adapter-argument.js'

/** Options of {@link initializeEva}. */
export interface EvaOptions extends RowReading {
  /** Rows, as for training. */
  readonly data: RowData
  /** Share of the rows that training sets aside with the same seed, which are not read. */
  readonly valSplit?: number
  /** As for training. */
  readonly valSplitBy?: string
  /** Rows in one batch, 8 by default. */
  readonly batchSize?: number
  /** Longest row in tokens; longer ones are cut. */
  readonly maxLength?: number
  /** How many batches are read, all by default. */
  readonly batches?: number
  /** How far a rank may grow, at least 1: up to r·rho. 1 leaves the ranks alone; 2 by default. */
  readonly rho?: number
  /** Divides each component by the root of its singular value. */
  readonly whiten?: boolean
  /** Scales alpha with the rank, so that every branch keeps its scale; true by default. */
  readonly adjustScalingFactors?: boolean
  /** Of a language model: counts only tokens with a label; true by default. */
  readonly useLabelMask?: boolean
  /** Of the order in which the decomposition draws, and of `valSplit`; 0 where it is not given. */
  readonly seed?: number
}

const evaOptionKeys = {
  ...{
    data: true,
    ...rowReadingKeys,
    valSplit: true,
    valSplitBy: true,
    batchSize: true,
    maxLength: true,
    batches: true,
    rho: true,
    whiten: true,
  },
  ...{ adjustScalingFactors: true, useLabelMask: true, seed: true },
} satisfies OptionKeys<EvaOptions>

/** What a layer reads, and how much of it. */
interface Source {
  readonly part: LoraPart
  /** Name of the value. */
  readonly input: string
  readonly r: number
}

/**
 * A new adapter like the given one whose A are principal components of the layers' inputs on the data, and whose B are 0. Ranks
 * are shared out anew by explained variance, their sum as before (`rankPattern`, `alphaPattern`); layers left without any are not
 * adapted. Embeddings and convolutions stay as they begin, as in PEFT, which takes the components of the same centred
 * inputs, approximately, batch by batch.
 *
 * @throws InvalidOptionError if an option is out of range, or the adapter begins in a way that is not its own;
 * InvalidDataError if the data has fewer tokens than a layer components
 * @example
 * const adapter = await initializeEva(await addLora(model, { r: 8 }), { data: 'train.jsonl' })
 */
export async function initializeEva(adapter: Adapter, given: EvaOptions): Promise<Adapter> {
  checkArgument(adapter, adapterArgument, 'initializeEva')
  checkKeys(given, evaOptionKeys, 'initializeEva')
  const options = snapshot(given)
  checkRowData(options.data, 'data')
  const { batchSize = 8, rho = 2, whiten = false, adjustScalingFactors = true, seed = 0, batches } = options
  if (!(rho >= 1 && Number.isFinite(rho))) throw new InvalidOptionError(`rho must be a finite number of at least 1, got ${rho}`)
  for (const [name, value] of Object.entries({ batchSize, ...(batches !== undefined && { batches }) }))
    if (!Number.isInteger(value) || value < 1)
      throw new InvalidOptionError(`${name} must be a whole number of at least 1, got ${value}`)
  const { model } = adapter
  const sources = sourcesOf(adapter)
  const groups = new Map<string, Moments>()
  for (const { input, part } of sources) groups.set(input, noMoments(part.target.module.inFeatures))
  await readInputs(model, groups, options)

  const components = new Map<string, PrincipalComponents>()
  for (const [input, moments] of groups) {
    const readers = sources.filter((source) => source.input === input)
    const most = Math.max(...readers.map(({ r }) => Math.round(r * rho)))
    const smallest = Math.min(...readers.map(({ part }) => part.target.module.outFeatures), moments.features)
    if (moments.count <= Math.min(most, smallest))
      throw new InvalidDataError(
        `EVA needs more than ${most} tokens to find ${most} components, the data has ${moments.count}; give more rows, or a smaller r or rho`,
      )
    components.set(
      input,
      principalComponents(moments, Math.min(most, smallest), Random.derive(seed, 'eva', readers[0]!.part.module)),
    )
  }
  const layers = sources.map(({ part, input, r }) => ({ name: part.module, group: input, r }))
  const ranks = shareRanks(layers, new Map([...components].map(([input, { ratios }]) => [input, ratios])))
  const result = withRanks(adapter, ranks, adjustScalingFactors)
  for (const { part, input } of sources) {
    const rank = ranks.get(part.module)!
    if (rank === 0) continue
    const { rows, singularValues } = components.get(input)!
    const A = result.parameters.view(part.A.name)
    rows.slice(0, rank).forEach((row, k) => {
      const divisor = whiten ? Math.sqrt(singularValues[k]!) : 1
      A.set(row.map((x) => x / divisor), k * row.length) // prettier-ignore
    })
  }
  return result
}

function sourcesOf(adapter: Adapter): Source[] {
  const { initLoraWeights: init } = adapter.config
  if (init !== true && init !== 'gaussian' && init !== 'eva')
    throw new InvalidOptionError(
      `EVA needs an adapter that begins silently (initLoraWeights true), not with ${JSON.stringify(init)}`,
    )
  const { graph } = adapter.model.build({ mode: 'full', positions: 1 })
  if (!graph.inputs.some(({ name }) => name === 'input_ids') || !graph.inputs.some(({ name }) => name === 'attention_mask'))
    throw new InvalidOptionError('EVA needs a model with the inputs "input_ids" and "attention_mask"')
  const sources = adapter.parts.flatMap((part) => {
    if (!(part instanceof LoraPart)) return []
    const { kind, transposedInput } = part.target.module
    const plain = (kind === 'Linear' || kind === 'Conv1D' || kind === 'MatMul') && transposedInput !== true
    return plain ? [{ part, input: graph.modules.get(part.module)!.input, r: part.target.r }] : []
  })
  if (sources.length === 0) throw new InvalidOptionError('EVA needs an adapted linear layer; choose other target modules')
  return sources
}

/** The graph that sums up what the layers read: Σ x·xᵀ and Σ x of every input, over the positions that `eva_mask` marks. */
function momentsGraph(model: Model, inputs: readonly string[]): Graph {
  const graph = model.build({ mode: 'full' }).graph.clone()
  const b = new GraphBuilder(graph)
  const mask = graph.addInput('eva_mask', 'float32', ['batch', 'sequence'])
  const column = b.emit('Reshape', [mask, b.int64s([-1, 1])], {}, { shapes: [['rows', 1]] })
  graph.outputs = inputs.flatMap((name) => {
    const x = graph.value(name)
    const width = x.shape!.at(-1) as number
    const flat = b.emit('Reshape', [x, b.int64s([-1, width])], {}, { shapes: [['rows', width]] })
    const kept = b.mul(flat, column)
    return [b.gemm(kept, kept, { transA: true }), b.reduceSum(kept, [0], false)]
  })
  graph.prune()
  return graph
}

async function readInputs(model: Model, groups: ReadonlyMap<string, Moments>, options: EvaOptions): Promise<void> {
  const { data, batchSize = 8, batches = Infinity, maxLength, useLabelMask = true } = options
  const rows = await openTrainRows(model, data, options)
  const objective = await chooseObjective(model, rows, {})
  const dataset = await openTaskDataset(model, objective, rows, { maxLength })
  const labels = useLabelMask && objective.name === 'causal-lm'
  const graph = momentsGraph(model, [...groups.keys()])
  const session = await createModelSession(model.environment, graph)
  try {
    let read = 0
    for await (const batch of dataset.batches({ batchSize })) {
      const mask = maskOf(batch, labels)
      const feeds: Record<string, HostTensor> = { ...batch.feeds, eva_mask: mask }
      const results = await session.run(Object.fromEntries(graph.inputs.map(({ name }) => [name, feeds[name]!])))
      const count = (mask.data as Float32Array).reduce((a, x) => a + x, 0)
      const outputs = graph.outputs.map(({ name }) => results[name]!.data as Float32Array)
      ;[...groups.values()].forEach((moments, i) => {
        moments.count += count
        outputs[2 * i]!.forEach((value, k) => (moments.products[k]! += value))
        outputs[2 * i + 1]!.forEach((value, k) => (moments.sum[k]! += value))
      })
      if (++read >= batches) break
    }
  } finally {
    await session.release()
  }
}

/** 1 on positions that count. */
function maskOf({ feeds }: Batch, labelled: boolean): HostTensor {
  const { data, shape } = feeds['attention_mask']!
  const labels = labelled ? feeds['labels']!.data : undefined
  const counts = (i: number): boolean => Number(data[i]) !== 0 && (labels === undefined || Number(labels[i]) !== IGNORED_LABEL)
  return float32(
    shape,
    Float32Array.from({ length: data.length }, (_, i) => Number(counts(i))),
  )
}

/** The adapter with other ranks: B is 0 where a rank is shared out, everything else as it is. */
function withRanks(adapter: Adapter, ranks: ReadonlyMap<string, number>, adjustScalingFactors: boolean): Adapter {
  const { model, config, parts } = adapter
  const rankPattern: Record<string, number> = {}
  const alphaPattern: Record<string, number> = {}
  const kept = adapter.targets.filter(({ module }) => ranks.get(module.name) !== 0)
  for (const { module, r, alpha } of kept) {
    const rank = ranks.get(module.name) ?? r
    const scaled = adjustScalingFactors ? (alpha * rank) / r : alpha
    if (rank !== config.r) rankPattern[module.name] = rank
    if (scaled !== config.loraAlpha) alphaPattern[module.name] = scaled
  }
  const targetModules = kept.length === adapter.targets.length ? config.targetModules : kept.map(({ module }) => module.name)
  const shared = { ...config, targetModules, rankPattern, alphaPattern, initLoraWeights: 'eva' }
  const freezeA = adapter.parameters.frozen.some(({ role }) => role === 'A')
  const result = Adapter.create(model, shared, matchTargets(model.modules, shared), {}, { freezeA })
  const redone = new Set(
    parts.flatMap((part) => (part instanceof LoraPart && ranks.has(part.module) ? [part.A.name, part.B.name] : [])),
  )
  for (const [name, { data }] of result.tensors)
    if (!redone.has(name)) (data as Float32Array).set(adapter.tensors.get(name)!.data as Float32Array)
  return result
}
