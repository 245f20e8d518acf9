/** @file Which runs the text experiments are made of: methods beside each other, ranks, and which matrices are adapted. */
import { join } from 'node:path'
import { languageModel } from './language-model.js'
import { lora, type Method } from './methods.js'
import { FIRST_PROBE, type Kept, type RunStore } from './run-store.js'
import type { TextOutcome, TextRun } from './text-run.js'
import { shared } from './texts.js'

/** A base, its name in tables, and its matrices by the paper's names. */
export interface TextBase {
  readonly name: string
  readonly title: string
  /** Its linear layers. */
  readonly linear: readonly string[]
  /** Those of the attention, where each is a layer of its own. */
  readonly matrices?: Readonly<Record<'q' | 'k' | 'v' | 'o', string>>
  /** Of the tables; none that is larger than a layer. */
  readonly ranks: readonly number[]
  readonly steps: number
  /** Its end token, where the base never learned it: a branch cannot teach a frozen row of the head to end texts. */
  readonly untrainedEnd?: number
  folder(threads: number, say: (text: string) => void): Promise<string>
}

export const textBases: readonly TextBase[] = [
  {
    name: 'stories260k',
    title: 'stories260k, a Llama of 0.26 million parameters',
    linear: ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'],
    matrices: { q: 'q_proj', k: 'k_proj', v: 'v_proj', o: 'o_proj' },
    ranks: [1, 2, 4, 8, 32],
    steps: 300,
    untrainedEnd: 2,
    folder: () => Promise.resolve(join(shared, 'models/stories260k')),
  },
  {
    name: 'gpt2-4m',
    title: 'a GPT-2 of 4.1 million parameters, trained here from scratch',
    linear: ['c_attn', 'c_proj', 'c_fc'],
    ranks: [1, 2, 4, 8, 64],
    steps: 200,
    folder: languageModel,
  },
]

/** Rates that are tried, by kind: what few parameters can bear, all of them cannot. */
const RATES: Readonly<Record<Method['kind'], readonly number[]>> = {
  full: [3e-4, 1e-3, 3e-3, 1e-2],
  bitfit: [1e-3, 3e-3, 1e-2, 3e-2],
  lora: [1e-3, 3e-3, 1e-2, 3e-2],
}

/**
 * What a method's rate is tried with: where texts are scored the method itself; ranks and matrices by their loss alone have the rate
 * of a middle rank on all layers, for α/r is the same of them all.
 */
const probed = (base: TextBase, method: Method, scored: boolean): Method => (scored ? method : lora(4, base.linear))

/** The rate that is best after half the steps, told by a seed that no table shows; undefined before one was tried. */
function bestRate(runs: readonly Kept[], base: TextBase, method: Method, scored: boolean): number | undefined {
  const tried = JSON.stringify(probed(base, method, scored))
  const probes = (runs as readonly KeptText[]).filter(
    ({ run }) => run.experiment === 'text' && run.base === base.name && run.seed >= FIRST_PROBE && JSON.stringify(run.method) === tried, // prettier-ignore
  )
  return probes.length === 0 ? undefined : probes.reduce((a, b) => (b.outcome.loss < a.outcome.loss ? b : a)).run.learningRate
}

export interface KeptText {
  readonly run: TextRun
  readonly outcome: TextOutcome
}

/** Runs of one base with the rate that was chosen for their method, by method in their order. */
export function runsByMethod(runs: readonly Kept[], base: TextBase, scored: boolean): Map<string, KeptText[]> {
  const found = new Map<string, KeptText[]>()
  for (const kept of runs as readonly KeptText[]) {
    const { run } = kept
    if (run.experiment !== 'text' || run.base !== base.name || run.scored !== scored || run.seed >= FIRST_PROBE) continue
    if (run.learningRate !== bestRate(runs, base, run.method, scored)) continue
    found.set(run.method.name, [...(found.get(run.method.name) ?? []), kept])
  }
  return found
}

const textRunOf = (base: TextBase, method: Method, rest: Omit<TextRun, 'experiment' | 'base' | 'method'>): TextRun => ({
  ...{ experiment: 'text', base: base.name, method },
  ...rest,
})

/** A method's runs with its best rate. */
async function measure(
  store: RunStore,
  base: TextBase,
  method: Method,
  model: string,
  seeds: number,
  scored: boolean,
): Promise<void> {
  for (const learningRate of RATES[method.kind]) {
    const probe = { learningRate, seed: FIRST_PROBE, steps: base.steps / 2, scored: false }
    await store.outcome<TextOutcome>(textRunOf(base, probed(base, method, scored), probe), model)
  }
  const learningRate = bestRate(store.runs, base, method, scored)!
  for (let seed = 0; seed < seeds; seed++)
    await store.outcome<TextOutcome>(
      textRunOf(base, method, { learningRate, seed, steps: scored ? base.steps : base.steps / 2, scored }),
      model,
    )
}

/** Of tables 3 and 18: full fine-tuning, biases alone where there are any, and LoRA of several ranks. */
export const methodsOf = (base: TextBase): readonly Method[] => [
  { name: 'all weights', kind: 'full' },
  ...(base.matrices === undefined ? [{ name: 'biases (BitFit)', kind: 'bitfit' } as const] : []),
  ...base.ranks.map((r) => ({
    ...lora(r, base.linear),
    ...(base.untrainedEnd !== undefined && { tokens: [base.untrainedEnd] }),
  })),
]

/** Tables 3 and 18. */
export async function methodsBeside(store: RunStore, base: TextBase, model: string, seeds: number): Promise<void> {
  for (const method of methodsOf(base)) await measure(store, base, method, model, seeds, true)
}

/** Table 6: ranks by the matrices that they are of. */
export async function ranksByMatrices(store: RunStore, base: TextBase, model: string, seeds: number): Promise<void> {
  const { q, k, v, o } = base.matrices!
  const sets = { Wq: [q], 'Wq, Wv': [q, v], 'Wq, Wk, Wv, Wo': [q, k, v, o] }
  for (const [name, targets] of Object.entries(sets))
    for (const r of base.ranks) await measure(store, base, lora(r, targets, named(name, r)), model, seeds, false)
}

/** Sets of matrices that together train about as many numbers: their names, the rank of each, and of what. */
const BUDGET: readonly (readonly [set: string, r: number, matrices: readonly ('q' | 'k' | 'v' | 'o')[]])[] = [
  ['Wq', 8, ['q']],
  ['Wk', 8, ['k']],
  ['Wv', 8, ['v']],
  ['Wo', 8, ['o']],
  ['Wq, Wk', 4, ['q', 'k']],
  ['Wq, Wv', 4, ['q', 'v']],
  ['Wq, Wk, Wv, Wo', 2, ['q', 'k', 'v', 'o']],
]

const named = (set: string, r: number): string => `${set}, r = ${r}`

/** The names of Table 5's rows. */
export const matrixSets = BUDGET.map(([set, r]) => named(set, r))

/** Table 5: which matrices, where all together may train as many numbers. */
export async function matricesOfOneBudget(store: RunStore, base: TextBase, model: string, seeds: number): Promise<void> {
  for (const [set, r, matrices] of BUDGET) {
    const targets = matrices.map((matrix) => base.matrices![matrix])
    await measure(store, base, lora(r, targets, named(set, r)), model, seeds, false)
  }
}
