/** @file The results as Markdown. */
import type { GraphBuilding } from './processes.js'
import type { Engine } from './protocol.js'
import type { Spread } from './statistics.js'
import type { CaseResult, EngineResult } from './training.js'

export interface Results {
  readonly machine: string
  readonly threads: number
  readonly cases: readonly CaseResult[]
  readonly graphBuilding?: GraphBuilding
  /** Seconds from the command to the first step. */
  readonly firstStep?: number
  /** What was left out and why. */
  readonly notes: readonly string[]
}

const names: Readonly<Record<Engine, string>> = {
  ours: 'lowrank, fp32',
  eager: 'PEFT eager, fp32',
  compile: 'PEFT `torch.compile`, fp32',
  'eager-bf16': 'PEFT eager, bf16',
  'compile-bf16': 'PEFT `torch.compile`, bf16',
}

const between = ({ median, min, max }: Spread, digits: number): string =>
  `${median.toFixed(digits)} (${min.toFixed(digits)} to ${max.toFixed(digits)})`
const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(2)} GB`

function row(r: EngineResult): string {
  const cells = [
    names[r.engine],
    between(r.secondsPerStep, 3),
    r.cpuSecondsPerStep.median.toFixed(3),
    between(r.tokensPerSecond, 0),
  ]
  const evaluation = r.evalAfter === undefined ? '' : `${r.evalBefore!.toFixed(4)} → ${r.evalAfter.toFixed(4)}`
  return `| ${[...cells, r.speedup === undefined ? '' : between(r.speedup, 2), gigabytes(r.peakBytes), evaluation].join(' | ')} |`
}

function table({ title, engines }: CaseResult): string[] {
  const largest = engines[0]?.secondsPerStep.count ?? 0
  const head = [
    'engine',
    'seconds per step',
    'processor seconds',
    'tokens per second',
    'times as long as ours',
    'peak memory',
    'evaluation loss',
  ]
  return [
    `## ${title}`,
    '',
    `Median (least to most) of ${largest} turns.`,
    '',
    `| ${head.join(' | ')} |`,
    `|${head.map(() => '---|').join('')}`,
    ...engines.map(row),
    '',
  ]
}

/** One page: a table for each case, then what is a single number. */
export function markdown({ machine, threads, cases, graphBuilding, firstStep, notes }: Results): string {
  const single = [
    graphBuilding &&
      `- Step graph of a llama of ${(graphBuilding.parameters / 1e9).toFixed(2)} billion parameters (${graphBuilding.nodes} nodes): ` +
        `${graphBuilding.seconds.toFixed(2)} s, peak ${Math.round(graphBuilding.peakBytes / 1e6)} MB, ${(graphBuilding.bytes / 1e6).toFixed(1)} MB encoded`,
    firstStep !== undefined &&
      `- From the command \`lowrank train\` on GPT-2 small to the end of its first step: ${firstStep.toFixed(1)} s`,
    ...notes.map((note) => `- ${note}`),
  ].filter((line) => typeof line === 'string')
  const versions = [...new Set(cases.flatMap((c) => c.engines.map((e) => e.versions)))].join('; ')
  const preface = [
    `${machine}, ${threads} threads${versions === '' ? '' : `; ${versions}`}.`,
    '',
    'Engines take turns on the same batches, from the same A and B, each in a process that stays; a turn of one is compared',
    'with the same turn of the other. Warm-up and compilation do not count. Tokens are those that are no padding, prompts',
    'included. Ours reads and tokenises its rows within the measured time, PEFT gets them tokenised.',
    '',
  ]
  return [
    '# Benchmark',
    '',
    ...preface,
    ...cases.flatMap(table),
    ...(single.length > 0 ? ['## Single measurements', '', ...single, ''] : []),
  ].join('\n')
}
