/** @file The runs that are kept, as the tables of docs/paper.md and their pictures. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { markdownTable } from '../report.js'
import { mean, plusMinus } from '../statistics.js'
import { lineChart } from '../svg.js'
import type { Claims } from './claims.js'
import type { TextBase } from './text-experiment.js'
import { glueMethods } from './glue-experiment.js'
import { glueTasks, type GlueOutcome, type GlueRun } from './glue-run.js'
import type { Kept } from './run-store.js'
import type { TextOutcome, TextRun } from './text-run.js'

export interface KeptClaims extends Claims {
  readonly machine: { readonly processor: string; readonly cores: number; readonly threads: number }
}

const read = (folder: string, name: string): unknown =>
  existsSync(join(folder, name)) ? JSON.parse(readFileSync(join(folder, name), 'utf8')) : undefined

export const keptRuns = (folder: string): readonly Kept[] =>
  (read(folder, 'paper-runs.json') as readonly Kept[] | undefined) ?? []
export const keptClaims = (folder: string): KeptClaims | undefined => read(folder, 'paper-claims.json') as KeptClaims | undefined

const whole = (count: number): string => count.toLocaleString('en-US')

interface KeptText {
  readonly run: TextRun
  readonly outcome: TextOutcome
}

interface KeptGlue {
  readonly run: GlueRun
  readonly outcome: GlueOutcome
}

/** Runs of one base, by method in their order; those that were made to find a rate are no results. */
function byMethod(runs: readonly Kept[], base: TextBase, scored: boolean): Map<string, KeptText[]> {
  const found = new Map<string, KeptText[]>()
  for (const kept of runs as readonly KeptText[]) {
    const { run } = kept
    if (run.experiment !== 'text' || run.base !== base.name || run.scored !== scored || run.seed >= FIRST_PROBE) continue
    found.set(run.method.name, [...(found.get(run.method.name) ?? []), kept])
  }
  return found
}

/** Seeds from here on choose rates. */
export const FIRST_PROBE = 100

/** Table 3 and 18 at this size: a row a method. */
export function methodsTable(runs: readonly Kept[], base: TextBase): string[] {
  const methods = byMethod(runs, base, true)
  if (methods.size === 0) return []
  const names = Object.keys([...methods.values()][0]![0]!.outcome.scores!)
  const rows = [...methods].map(([name, kept]) => {
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

/** Evaluation losses on the way, the mean of the seeds. */
export function methodsPicture(runs: readonly Kept[], base: TextBase): string {
  const curves = [...byMethod(runs, base, true)].map(([label, kept]) => ({
    label,
    points: kept[0]!.outcome.curve.map(([step], i) => [step, mean(kept.map(({ outcome }) => outcome.curve[i]![1]))] as const),
  }))
  return lineChart(`E2E, ${base.title}: loss of the validation rows`, { x: 'step', y: 'loss, mean of the seeds' }, curves)
}

/** Table 6: a row a set of matrices, a column a rank. */
export function ranksTable(runs: readonly Kept[], base: TextBase, ranks: readonly number[]): string[] {
  const methods = byMethod(runs, base, false)
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
  const methods = byMethod(runs, base, false)
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
