/** @file Section 7 of the paper on a model of ours: which directions two ranks and two seeds share, and what they amplify. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  Adapter,
  analyzeAdapter,
  compareAdapters,
  loadModel,
  similarityPicture,
  train,
  type ComparedLayer,
  type Model,
} from '../../src/index.js'
import { lora, traineeOf } from './methods.js'
import type { TextBase } from './text-experiment.js'
import { textTraining } from './text-run.js'

/** The layers that are looked at, as the paper looks at those of attention. */
const TARGETS = ['c_attn']
const [LOW, HIGH] = [8, 64] as const
/** The best of those that the text experiments try with these ranks. */
const RATES = { [LOW]: 3e-3, [HIGH]: 1e-3 } as const

/** φ of a matrix of two adapters. */
interface Shared {
  /** Of the strongest direction of each. */
  readonly first: number
  /** Of all directions of the lower rank, in all of the other. */
  readonly all: number
  /** The same of Gaussian matrices. */
  readonly byChance: number
}

/** Of a layer's change. */
interface Amplified {
  readonly effectiveRank: number
  readonly frobenius: number
  /** ‖UᵀWV‖F in its directions, in those that the base is strongest in, and in random ones. */
  readonly inChange: number
  readonly inBase: number
  readonly inRandom: number
  readonly factor: number
}

export interface SubspaceLayer {
  readonly module: string
  readonly ranks: { readonly A: Shared; readonly B: Shared }
  readonly seeds: { readonly A: Shared; readonly B: Shared }
  /** By rank. */
  readonly amplified: Readonly<Record<string, Amplified>>
}

/** What was found. */
export interface Subspaces {
  readonly layers: readonly SubspaceLayer[]
  /** The layer of the pictures. */
  readonly pictured: string
}

async function trained(base: TextBase, model: Model, r: keyof typeof RATES, seed: number): Promise<Adapter> {
  const adapter = await traineeOf(model, lora(r, TARGETS), seed)
  if (!(adapter instanceof Adapter)) throw new Error('LoRA is an adapter')
  const options = { ...(await textTraining()), steps: base.steps, learningRate: RATES[r], seed }
  for await (const _ of train(adapter, options));
  return adapter
}

function sharedOf({ similarity, random }: ComparedLayer['A'], low: number): Shared {
  const all = (grid: readonly ArrayLike<number>[]): number => grid[low - 1]![grid[0]!.length - 1]!
  return { first: similarity[0]![0]!, all: all(similarity), byChance: all(random) }
}

/** Writes the pictures into a folder. @param path folder of the base */
export async function measureSubspaces(base: TextBase, path: string, threads: number, out: string): Promise<Subspaces> {
  const model = await loadModel(path, { threads })
  const [low, high, again] = [
    await trained(base, model, LOW, 0),
    await trained(base, model, HIGH, 1),
    await trained(base, model, HIGH, 2),
  ]
  const [ranks, seeds] = [compareAdapters(low, high), compareAdapters(high, again)]
  const analyses = { [LOW]: await analyzeAdapter(low, { amplification: true }), [HIGH]: await analyzeAdapter(high, { amplification: true }) } // prettier-ignore
  const middle = Math.floor(ranks.layers.length / 2)
  const picture = (name: string, layer: ComparedLayer, names: readonly [string, string]): Promise<void> =>
    writeFile(join(out, `paper-subspaces-${name}.svg`), similarityPicture(layer, names))
  await picture('ranks', ranks.layers[middle]!, [`r = ${LOW}`, `r = ${HIGH}`])
  await picture('seeds', seeds.layers[middle]!, [`r = ${HIGH}`, `r = ${HIGH}, another seed`])
  return {
    pictured: ranks.layers[middle]!.module,
    layers: ranks.layers.map(({ module, A, B }, i) => {
      const other = seeds.layers[i]!
      return {
        module,
        ranks: { A: sharedOf(A, LOW), B: sharedOf(B, LOW) },
        seeds: { A: sharedOf(other.A, HIGH), B: sharedOf(other.B, HIGH) },
        amplified: Object.fromEntries(
          Object.entries(analyses).map(([r, { layers }]) => {
            const { effectiveRank, frobenius, amplification } = layers.find((each) => each.module === module)!
            const { inChange, inBase, inRandom, factor } = amplification!
            return [r, { effectiveRank, frobenius, inChange, inBase, inRandom, factor }]
          }),
        ),
      }
    }),
  }
}
