/** @file Adapters analyzed and compared as one HTML file. It needs no network and no script. */
import type { AdapterAnalysis, AnalyzedLayer } from '../analyze/analyze-adapter.js'
import type { AdapterComparison } from '../analyze/compare-adapters.js'
import { checkArgument, listArgument } from '../util/arguments.js'
import { counted, digits } from '../util/numbers-as-text.js'
import { htmlDocument } from './document.js'
import { similarityPicture } from './similarity-picture.js'
import { escape, table } from './text.js'

/** An adapter and what was found. */
export interface NamedAnalysis {
  /** What to call it. */
  readonly name: string
  /** Of {@link analyzeAdapter}. */
  readonly analysis: AdapterAnalysis
}

/** Two adapters beside each other. */
export interface NamedComparison {
  /** What to call them. */
  readonly names: readonly [string, string]
  /** Of {@link compareAdapters}. */
  readonly comparison: AdapterComparison
}

const style = `
.scroll { overflow-x: auto; } .key { color: var(--quiet); font-size: .85rem; margin: 0 0 .6rem; }
main h2 { overflow-wrap: anywhere; } svg { max-width: 100%; height: auto; }
`

const spectrumHead = ['layer', 'r', 'rank', 'effective', 'stable', '‖ΔW‖F', '‖ΔW‖2'] as const
const amplificationHead = ['‖W‖F', 'in ΔW', 'in W', 'random', 'factor'] as const

/** The names of the columns of {@link analysisRows}. */
export const analysisHead = ({ layers }: AdapterAnalysis): readonly string[] =>
  layers.some(({ amplification }) => amplification !== undefined) ? [...spectrumHead, ...amplificationHead] : spectrumHead

/** A row for each layer, in words. */
export const analysisRows = ({ layers }: AdapterAnalysis): readonly (readonly string[])[] => layers.map(rowOf)

const rowOf = ({ module, r, rank, effectiveRank, stableRank, frobenius, spectral, amplification }: AnalyzedLayer): string[] => [
  ...[module, String(r), String(rank)],
  ...[effectiveRank, stableRank, frobenius, spectral].map((value) => digits(value, 4)),
  ...(amplification === undefined
    ? []
    : [amplification?.base, amplification?.inChange, amplification?.inBase, amplification?.inRandom, amplification?.factor].map(
        (value) => digits(value, 4),
      )),
]

const facts = ({ layers, left }: AdapterAnalysis): string =>
  [counted(layers.length, 'layer'), ...(left.length > 0 ? [`${left.length} more changes are no low-rank ones`] : [])].join(', ')

function analysisSection({ name, analysis }: NamedAnalysis): string {
  const rows = analysisRows(analysis)
  const left = analysis.left.map(({ module, reason }) => [module, reason])
  return `<section class="scroll"><h2>${escape(name)}</h2><p class="key">${escape(facts(analysis))}</p>${table(rows, analysisHead(analysis))}${left.length === 0 ? '' : `<h3>Not looked at</h3>${table(left)}`}</section>`
}

function comparisonSection({ names, comparison }: NamedComparison): string {
  const { layers, onlyFirst, onlySecond } = comparison
  const only = [
    ...onlyFirst.map((module) => [module, `changed by ${names[0]} alone`]),
    ...onlySecond.map((module) => [module, `changed by ${names[1]} alone`]),
  ]
  const pictures = layers.map(
    (layer) => `<section class="scroll"><h2>${escape(layer.module)}</h2>${similarityPicture(layer, names)}</section>`,
  )
  return [
    `<h2>${escape(names.join(' and '))}</h2><p class="key">φ(i, j) of the i strongest directions of one and the j strongest of the other: 1 where one subspace holds the other, 0 where they have nothing in common. Beside it two Gaussian matrices of the same sizes.</p>`,
    ...pictures,
    ...(only.length === 0 ? [] : [`<section>${table(only)}</section>`]),
  ].join('\n')
}

/**
 * Analyses and comparisons as a whole HTML document, light or dark as the reader prefers.
 * @throws InvalidOptionError for what is no list of analyses
 * @example
 * const page = analysisPage([{ name: 'out', analysis: await analyzeAdapter(adapter) }])
 */
export function analysisPage(adapters: readonly NamedAnalysis[], comparisons: readonly NamedComparison[] = []): string {
  checkArgument(adapters, listArgument, 'analysisPage')
  const title = `lowrank analyze: ${adapters.map(({ name }) => name).join(', ')}`
  const main = [...adapters.map(analysisSection), ...comparisons.map(comparisonSection)].join('\n')
  return htmlDocument({ title, main, styles: [style] })
}
