/** @file The flags by which several adapters become one. */
import { combinationTypes, type CombinationType } from '../adapters/combine/combine-layer.js'
import type { MajoritySignMethod } from '../adapters/combine/merge-tensors.js'
import type { Adapter } from '../index.js'
import { defined } from './flags.js'
import type { Flags } from './flag.js'
import { library } from './sources.js'
import { UsageError } from './usage-error.js'

export const combinationFlags = {
  weights: {
    type: 'text',
    value: 'X,X',
    help: 'Weight of each adapter, in their order; 1 by default. Ones that begin with a minus are given as --weights=-1,2.',
  },
  combination: {
    type: 'text',
    choices: combinationTypes,
    help: 'How adapters become one, by the names of PEFT; cat, the exact weighted sum, by default.',
  },
  density: { type: 'number', value: 'X', min: 0, help: 'Share of the numbers that ties, dare_… and magnitude_prune keep.' },
  'combined-rank': {
    type: 'integer',
    value: 'N',
    min: 1,
    help: 'Rank of svd and …_svd; the largest of the adapters by default.',
  },
  'majority-sign': { type: 'text', choices: ['total', 'frequency'], help: 'How ties elects signs; total by default.' },
} as const satisfies Flags

/** Values of {@link combinationFlags}. */
export interface CombinationValues {
  readonly weights: string | undefined
  readonly combination: string | undefined
  readonly density: number | undefined
  readonly 'combined-rank': number | undefined
  readonly 'majority-sign': string | undefined
  readonly seed: number
}

/** The adapters as they are, or as one where a flag asks for it. @throws UsageError for weights that are no numbers or too few */
export async function combined(adapters: readonly Adapter[], values: CombinationValues): Promise<Adapter | readonly Adapter[]> {
  const asked = Object.keys(combinationFlags).some((flag) => values[flag as keyof typeof combinationFlags] !== undefined)
  return asked ? combine(adapters, values) : adapters
}

/** The adapters as one. @throws UsageError for weights that are no numbers or too few */
export async function combine(adapters: readonly Adapter[], values: CombinationValues): Promise<Adapter> {
  const { weights: text, combination, density, seed } = values
  const [r, sign] = [values['combined-rank'], values['majority-sign']]
  const weights = text === undefined ? adapters.map(() => 1) : text.split(',').map(Number)
  if (weights.some((weight) => !Number.isFinite(weight)) || text?.split(',').some((part) => part.trim() === '') === true)
    throw new UsageError(`--weights must be numbers with commas between them, got "${text}".`)
  if (weights.length !== adapters.length)
    throw new UsageError(`--weights has ${weights.length} numbers for ${adapters.length} adapters; give one for each.`)
  const { combineAdapters } = await library()
  const list = adapters.map((adapter, i) => ({ adapter, weight: weights[i]! }))
  const type = combination as CombinationType | undefined
  const majoritySignMethod = sign as MajoritySignMethod | undefined
  return combineAdapters(adapters[0]!.model, list, { seed, ...defined({ type, density, r, majoritySignMethod }) })
}
