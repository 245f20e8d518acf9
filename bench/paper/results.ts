/** @file The runs that are kept, as the tables of docs/paper.md and their pictures. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { markdownTable } from '../report.js'
import { mean, plusMinus, type Spread } from '../statistics.js'
import { lineChart } from '../svg.js'
import type { Claims } from './claims.js'
import type { MethodCost } from './costs.js'
import type { Subspaces } from './subspaces.js'
import { methodsOf, runsByMethod, type KeptText, type TextBase } from './text-experiment.js'
import { glueMethods } from './glue-experiment.js'
import { glueTasks, type GlueOutcome, type GlueRun } from './glue-run.js'
import { FIRST_PROBE, type Kept } from './run-store.js'

/** What something was measured on. */
export interface Machine {
  readonly processor: string
  readonly cores: number
  readonly threads: number
}

export interface KeptClaims extends Claims {
  readonly machine: Machine
}

export interface KeptCosts {
  readonly machine: Machine
  readonly methods: readonly MethodCost[]
}

const read = (folder: string, name: string): unknown =>
  existsSync(join(folder, name)) ? JSON.parse(readFileSync(join(folder, name), 'utf8')) : undefined

export const keptRuns = (folder: string): readonly Kept[] =>
  (read(folder, 'paper-runs.json') as readonly Kept[] | undefined) ?? []
export const keptClaims = (folder: string): KeptClaims | undefined => read(folder, 'paper-claims.json') as KeptClaims | undefined
export const keptCosts = (folder: string, base: TextBase): KeptCosts | undefined =>
  read(folder, `paper-costs-${base.name}.json`) as KeptCosts | undefined
export const keptSubspaces = (folder: string): Subspaces | undefined =>
  read(folder, 'paper-subspaces.json') as Subspaces | undefined

const whole = (count: number): string => count.toLocaleString('en-US')

interface KeptGlue {
  readonly run: GlueRun
  readonly outcome: GlueOutcome
}

/** Scored runs by method, in the order of the tables, whenever they were made. */
function runsInOrder(runs: readonly Kept[], base: TextBase): (readonly [name: string, kept: readonly KeptText[]])[] {
  const found = runsByMethod(runs, base, true)
  return methodsOf(base).flatMap(({ name }) => (found.has(name) ? [[name, found.get(name)!] as const] : []))
}

/** Table 3 and 18 at this size: a row a method. */
export function methodsTable(runs: readonly Kept[], base: TextBase): string[] {
  const methods = runsInOrder(runs, base)
  if (methods.length === 0) return []
  const names = Object.keys(methods[0]![1][0]!.outcome.scores!)
  const rows = methods.map(([name, kept]) => {
    const { trainedParameters, checkpointBytes } = kept[0]!.outcome
    const of = (metric: string): number[] => kept.map(({ outcome }) => outcome.scores![metric]!)
    return [
      ...[name, whole(trainedParameters), whole(checkpointBytes), String(kept[0]!.run.learningRate)],
      plusMinus(kept.map(({ outcome }) => outcome.loss), 3), // prettier-ignore
      ...names.map((metric) => plusMinus(of(metric), metric === 'NIST' || metric === 'CIDEr-D' ? 2 : 3)),
    ]
  })
  return markdownTable(['trained', 'parameters', 'checkpoint, bytes', 'rate', 'loss', ...names], rows)
}

/** What the methods of a base cost: a row a method. */
export function costsTable({ methods }: KeptCosts): string[] {
  const rows = methods.map(({ name, secondsPerStep, byFirst, peakBytes }) => [
    ...[name, between(secondsPerStep, 0, 1000), between(byFirst, 2), (peakBytes / 1e6).toFixed(0)],
  ])
  return markdownTable(['trained', 'a step, ms', `by that of ${methods[0]!.name}`, 'peak memory, MB'], rows)
}

/** `12 (11 to 15)`: the median, from the least to the most. */
export const between = ({ median, min, max }: Spread, digits: number, times = 1): string =>
  `${(median * times).toFixed(digits)} (${(min * times).toFixed(digits)} to ${(max * times).toFixed(digits)})`

/** What two ranks and two seeds share: a row a layer. */
export function sharedTable({ layers }: Subspaces): string[] {
  const cells = ({ first, all, byChance }: Subspaces['layers'][number]['ranks']['A']): string[] =>
    [first, all, byChance].map((value) => value.toFixed(2))
  const rows = layers.flatMap(({ module, ranks, seeds }) =>
    (['A', 'B'] as const).map((matrix) => [`${module}, ${matrix}`, ...cells(ranks[matrix]), ...cells(seeds[matrix])]),
  )
  const of = (what: string): string[] => [`${what}: φ(1, 1)`, 'all', 'by chance']
  return markdownTable(['', ...of('8 in 64'), ...of('64 of two seeds')], rows)
}

/** Table 7: a row a layer and rank. */
export function amplificationTable({ layers }: Subspaces): string[] {
  const rows = layers.flatMap(({ module, amplified }) =>
    Object.entries(amplified).map(([r, found]) => [
      ...[module, r, found.effectiveRank.toFixed(1)],
      ...[found.frobenius, found.inChange, found.inBase, found.inRandom, found.factor].map((value) => value.toFixed(2)),
    ]),
  )
  return markdownTable(['layer', 'r', 'effective rank', '‖ΔW‖F', '‖UᵀWV‖F', 'in W', 'random', 'factor'], rows)
}

/** Evaluation losses on the way, the mean of the seeds. */
export function methodsPicture(runs: readonly Kept[], base: TextBase): string {
  const curves = runsInOrder(runs, base).map(([label, kept]) => ({
    label,
    points: kept[0]!.outcome.curve.map(([step], i) => [step, mean(kept.map(({ outcome }) => outcome.curve[i]![1]))] as const),
  }))
  return lineChart(`E2E, ${base.title}: loss of the validation rows`, { x: 'step', y: 'loss, mean of the seeds' }, curves)
}

/** Table 6: a row a set of matrices, a column a rank. */
export function ranksTable(runs: readonly Kept[], base: TextBase, ranks: readonly number[]): string[] {
  const methods = runsByMethod(runs, base, false)
  const sets = ['Wq', 'Wq, Wv', 'Wq, Wk, Wv, Wo']
  const rows = sets.map((set) => [
    set,
    ...ranks.map((r) => {
      const kept = methods.get(`${set}, r = ${r}`)
      return kept === undefined ? '–' : plusMinus(kept.map(({ outcome }) => outcome.loss), 3) // prettier-ignore
    }),
  ])
  return rows.every((row) => row.slice(1).every((cell) => cell === '–'))
    ? []
    : markdownTable(['adapted', ...ranks.map((r) => `r = ${r}`)], rows)
}

/** Table 5: matrices of one budget. */
export function matricesTable(runs: readonly Kept[], base: TextBase, names: readonly string[]): string[] {
  const methods = runsByMethod(runs, base, false)
  const rows = names.flatMap((name) => {
    const kept = methods.get(name)
    if (kept === undefined) return []
    return [[name, whole(kept[0]!.outcome.trainedParameters), plusMinus(kept.map(({ outcome }) => outcome.loss), 3)]] // prettier-ignore
  })
  return rows.length === 0 ? [] : markdownTable(['adapted', 'parameters', 'loss'], rows)
}

/** Table 2: a row a method, a column a task. */
export function glueTable(runs: readonly Kept[]): string[] {
  const glue = (runs as readonly KeptGlue[]).filter(({ run }) => run.experiment === 'glue' && run.seed < FIRST_PROBE)
  const rows = glueMethods.flatMap(({ name }) => {
    const own = glue.filter(({ run }) => run.method.name === name)
    if (own.length === 0) return []
    const cells = glueTasks.map((task) => {
      const scores = own.filter(({ run }) => run.task === task).map(({ outcome }) => 100 * outcome.score)
      return scores.length === 0 ? '–' : plusMinus(scores, 1)
    })
    return [[name, whole(own[0]!.outcome.trainedParameters), String(own[0]!.run.learningRate), ...cells]]
  })
  return rows.length === 0 ? [] : markdownTable(['trained', 'parameters, the head among them', 'rate', ...glueTasks], rows)
}
