/** @file The results as Markdown. */
import type { Engine } from './protocol.js'
import type { Spread } from './statistics.js'
import type { BarGroup } from './svg.js'
import type { CaseResult, EngineResult } from './training.js'

/** What a case gives: a table, perhaps bars, and its numbers for the JSON. */
export interface Section {
  readonly title: string
  readonly note?: string
  readonly head: readonly string[]
  readonly rows: readonly (readonly string[])[]
  readonly bars?: readonly BarGroup[]
  readonly data: unknown
}

export interface Results {
  readonly machine: string
  readonly threads: number
  readonly versions: readonly string[]
  readonly sections: readonly Section[]
  /** Names of pictures beside the table. */
  readonly pictures: readonly string[]
  /** What was left out and why. */
  readonly notes: readonly string[]
}

export const engineNames: Readonly<Record<Engine, string>> = {
  ours: 'lowrank, fp32',
  'ours-int8': 'lowrank, int8',
  'ours-int4': 'lowrank, int4',
  eager: 'PEFT eager, fp32',
  compile: 'PEFT `torch.compile`, fp32',
  'eager-bf16': 'PEFT eager, bf16',
  'compile-bf16': 'PEFT `torch.compile`, bf16',
  'eager-tf32': 'PEFT eager, TF32',
}

export const between = ({ median, min, max }: Spread, digits: number): string =>
  `${median.toFixed(digits)} (${min.toFixed(digits)} to ${max.toFixed(digits)})`
export const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(2)} GB`

function row(r: EngineResult): string[] {
  const evaluation = r.evalAfter === undefined ? '' : `${r.evalBefore!.toFixed(4)} → ${r.evalAfter.toFixed(4)}`
  return [
    ...[engineNames[r.engine], between(r.secondsPerStep, 3), r.cpuSecondsPerStep.median.toFixed(3)],
    ...[between(r.tokensPerSecond, 0), r.speedup === undefined ? '' : between(r.speedup, 2), gigabytes(r.peakBytes), evaluation],
  ]
}

/** The table and bars of a training case. */
export function trainingSection(result: CaseResult): Section {
  const { title, engines } = result
  const bars = (of: (r: EngineResult) => Spread) => engines.map((r) => ({ label: engineNames[r.engine], value: of(r) }))
  return {
    title,
    note: `Median (least to most) of ${engines[0]?.secondsPerStep.count ?? 0} turns.`,
    head: [
      ...['engine', 'seconds per step', 'processor seconds', 'tokens per second', 'times as long as ours', 'peak memory'],
      'evaluation loss',
    ],
    rows: engines.map(row),
    bars: [{ title, unit: 'tokens/s, more is better', bars: bars((r) => r.tokensPerSecond) }],
    data: result,
  }
}

/** A table in Markdown, with an empty line behind it. */
export const markdownTable = (head: readonly string[], rows: readonly (readonly string[])[]): string[] => [
  `| ${head.join(' | ')} |`,
  `|${head.map(() => '---|').join('')}`,
  ...rows.map((cells) => `| ${cells.join(' | ')} |`),
  '',
]

const table = ({ title, note, head, rows }: Section): string[] => [
  `## ${title}`,
  '',
  ...(note === undefined ? [] : [note, '']),
  ...markdownTable(head, rows),
]

/** One page: a table for each case. */
export function markdown({ machine, threads, versions, sections, pictures, notes }: Results): string {
  return [
    '# Benchmark',
    '',
    `${machine}, ${threads} threads${versions.length === 0 ? '' : `; ${versions.join('; ')}`}.`,
    '',
    'Engines take turns on the same batches, from the same A and B, each in a process that stays; a turn of one is compared',
    'with the same turn of the other. Warm-up and compilation do not count. Tokens are those that are no padding, prompts',
    'included. Ours reads and tokenises its rows within the measured time, PEFT gets them tokenised. bf16 stands for autocast',
    'over a bfloat16 base. Compare within a table: absolute times drift with what else the machine does.',
    '',
    ...pictures.flatMap((name) => [`![${name}](${name})`, '']),
    ...sections.flatMap(table),
    ...(notes.length > 0 ? ['## Notes', '', ...notes.map((note) => `- ${note}`), ''] : []),
  ].join('\n')
}
