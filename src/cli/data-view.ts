/** @file What an inspection of rows found, for people on a terminal. */
import type { DataInspection, EpochCost, RowPair, RowPlace, RowsInspection, ShownRow, ShownSequence } from '../index.js'
import type { Output } from './flags.js'
import { count, counted, mean, percent, table } from './format.js'

/** What of a list of places or bad rows is printed. */
const SHOWN = 20
/** Places of one kind that are named beside their number. */
const SHOWN_PLACES = 3
/** Tokens of a text that are printed. */
const MOST_TOKENS = 400
const BAR = 32

type Color = Output['color']

const spaces: Readonly<Record<string, string>> = { '\n': '↵', '\r': '␍', '\t': '→', ' ': '·' }

/** White space as signs; a line break stays one, behind its sign. */
const visible = (text: string): string => text.replace(/[\n\r\t ]/g, (space) => (space === '\n' ? '↵\n' : spaces[space]!))

/** Whether a text shows by itself that a token begins with it. */
const showsStart = (text: string): boolean => /^\s/.test(text)

const at = ({ file, line }: RowPlace): string => `${file}:${line}`

const places = (list: readonly string[], total: number): string =>
  total === 0 ? '' : `: ${list.slice(0, SHOWN_PLACES).join(', ')}${total > SHOWN_PLACES ? ', …' : ''}`

const pairs = (list: readonly RowPair[], total: number): string =>
  places(
    list.map(({ row, first }) => `${at(row)} like ${row.file === first.file ? `line ${first.line}` : at(first)}`),
    total,
  )

/**
 * The tokens of a text: what is learned in green between brackets, special tokens quiet, white space as signs, and a bar where
 * one token ends in the middle of a word.
 */
export function tokenLine({ tokens, special, learned, tags }: ShownSequence, color: Color): string {
  const isSpecial = new Set(special)
  const starts = new Set(learned.map(([start]) => start))
  const ends = new Set(learned.map(([, end]) => end - 1))
  const inside = (i: number): boolean => learned.some(([start, end]) => i >= start && i < end)
  let line = ''
  for (let i = 0; i < Math.min(tokens.length, MOST_TOKENS); i++) {
    const isLearned = inside(i)
    const paint = isLearned ? color.green : isSpecial.has(i) ? color.dim : (text: string): string => text
    const open = starts.has(i) ? color.bold('[') : ''
    const text = tokens[i]!
    const border = i > 0 && open === '' && !ends.has(i - 1) && !showsStart(text) && !isSpecial.has(i) && !isSpecial.has(i - 1)
    const tag = tags?.[i] ?? null
    const close = ends.has(i) ? color.bold(']') : ''
    // A colour does not reach over the end of a line.
    const painted = visible(text)
      .split('\n')
      .map((part) => (part === '' ? '' : paint(part)))
      .join('\n')
    line += `${border ? color.dim('¦') : ''}${open}${painted}${tag === null ? '' : color.cyan(`/${tag}`)}${close}`
  }
  const more = tokens.length - MOST_TOKENS
  return more > 0 ? `${line} ${color.dim(`… ${counted(more, 'more token')}`)}` : line
}

const learnedTokens = ({ learned }: ShownSequence): number => learned.reduce((sum, [start, end]) => sum + end - start, 0)

function showRow(row: ShownRow, { color, print }: Pick<Output, 'color' | 'print'>): void {
  const label = row.label === undefined ? '' : `  label ${color.green(`[${[row.label].flat().join(', ')}]`)}`
  const one = row.sequences.length === 1 ? `  ${sizeOf(row.sequences[0]!)}` : ''
  print(`${color.bold(at(row))}${one}${label}${row.truncated ? color.yellow('  cut') : ''}`)
  for (const [name, shape] of Object.entries(row.inputs ?? {})) print(`  ${name} [${shape.join(', ')}]`)
  for (const sequence of row.sequences) {
    if (sequence.name !== undefined) print(`${color.dim(sequence.name)}  ${sizeOf(sequence)}`)
    for (const line of tokenLine(sequence, color).split('\n')) print(`  ${line}`)
  }
  print('')
}

function sizeOf(sequence: ShownSequence): string {
  const learned = learnedTokens(sequence)
  return `${counted(sequence.ids.length, 'token')}${learned > 0 ? `, ${count(learned)} learned` : ''}`
}

const of = (part: number, whole: number): string => percent(whole === 0 ? 0 : part / whole)

/** Names and values, one below the other. */
function facts(found: RowsInspection, maxLength: number | null): [string, string][] {
  const { truncated, duplicates, sameInput, emptyAnswers, lengths } = found
  const learned =
    found.learnedTokens === null ? '' : `, ${count(found.learnedTokens)} learned (${of(found.learnedTokens, found.tokens)})`
  return [
    ['rows', `${count(found.rows)}, ${found.usable === found.rows ? 'all usable' : `${count(found.usable)} usable`}`],
    ...(found.skipped > 0 ? [['left out', `${counted(found.skipped, 'row')} without a token to learn`] as [string, string]] : []),
    ['tokens', `${count(found.tokens)}${learned}`],
    ...(lengths === undefined ? [] : [['length', lengthsOf(lengths)] as [string, string]]),
    [
      maxLength === null ? 'cut' : `cut at ${count(maxLength)}`,
      truncated.rows === 0
        ? 'no row'
        : `${counted(truncated.rows, 'row')} (${of(truncated.rows, found.usable)}); lost are ${counted(truncated.tokens, 'token')}, ${count(truncated.learnedTokens)} of them to be learned`,
    ],
    ['duplicates', `${rowsOrNone(duplicates.rows)}${pairs(duplicates.first, duplicates.rows)}`],
    [
      'same input',
      sameInput.rows === 0
        ? 'no row'
        : `${counted(sameInput.inputs, 'input')} with several answers, in ${counted(sameInput.rows, 'row')}${pairs(sameInput.first, sameInput.rows)}`,
    ],
    ...(found.learnedTokens === null || found.labels !== undefined
      ? []
      : [
          ['empty', `${rowsOrNone(emptyAnswers.rows)}${places(emptyAnswers.first.map(at), emptyAnswers.rows)}`] as [
            string,
            string,
          ],
        ]),
  ]
}

const rowsOrNone = (rows: number): string => (rows === 0 ? 'no row' : counted(rows, 'row'))

const lengthsOf = ({ shortest, mean: average, percentiles, longest }: NonNullable<RowsInspection['lengths']>): string =>
  `${count(shortest)} to ${count(longest)} tokens, ${mean(average)} on average; half of the rows have at most ${count(percentiles[50]!)}, 95 % ${count(percentiles[95]!)}, 99 % ${count(percentiles[99]!)}`

const epochOf = ({ steps, tokens, positions, padding }: EpochCost): string =>
  `${counted(steps, 'step')}, ${count(tokens)} tokens in ${count(positions)} positions, ${percent(padding)} padding`

function showFacts(rows: readonly (readonly [string, string])[], { color, print }: Pick<Output, 'color' | 'print'>): void {
  const width = Math.max(...rows.map(([name]) => name.length))
  for (const [name, value] of rows) print(`${color.dim(name.padEnd(width))}  ${value}`)
}

/** A horizontal bar for each number. */
function bars(
  rows: readonly (readonly [name: string, value: number])[],
  { color, print }: Pick<Output, 'color' | 'print'>,
): void {
  const most = Math.max(1, ...rows.map(([, value]) => value))
  const names = Math.max(...rows.map(([name]) => name.length))
  const numbers = Math.max(...rows.map(([, value]) => count(value).length))
  for (const [name, value] of rows) {
    const size = value === 0 ? '' : '▇'.repeat(Math.max(1, Math.round((BAR * value) / most)))
    print(`  ${name.padStart(names)}  ${count(value).padStart(numbers)}  ${color.green(size)}`.trimEnd())
  }
}

function showBad({ bad, problems }: RowsInspection, { color, print }: Pick<Output, 'color' | 'print'>): void {
  for (const problem of problems) print(color.yellow(`problem: ${problem}`))
  if (bad.length === 0) return
  print(color.yellow(`${counted(bad.length, 'row')} that a run would refuse:`))
  for (const { message } of bad.slice(0, SHOWN)) print(`- ${message}`)
  if (bad.length > SHOWN) print(`… and ${count(bad.length - SHOWN)} more (--json lists all of them)`)
  print('')
}

function showPart(found: RowsInspection, maxLength: number | null, output: Output, more: readonly [string, string][] = []): void {
  const { color, print } = output
  for (const row of found.shown) showRow(row, output)
  showFacts([...facts(found, maxLength), ...more], output)
  print('')
  if (found.lengths !== undefined) {
    print(color.bold('tokens of a row'))
    bars(
      found.lengths.histogram.map(({ from, to, rows }) => [from === to ? count(from) : `${count(from)} – ${count(to)}`, rows]),
      output,
    )
    print('')
  }
  if (found.labels !== undefined && found.labels.length > 0) {
    print(color.bold('labels'))
    bars(
      found.labels.map(({ label, count: occurs }) => [String(label), occurs]),
      output,
    )
    print('')
  }
  for (const warning of found.warnings) print(color.yellow(`warning: ${warning}`))
  showBad(found, output)
}

/** Prints all of it. */
export function showDataInspection(found: DataInspection, output: Output): void {
  const { color, print } = output
  const { data, evalData, batching } = found
  print(color.bold(`${data.files.join(', ')}: ${found.objective}`))
  print(color.dim('[learned]  · space  ↵ line end  ¦ between two tokens of a word'))
  print('')
  showPart(data, found.maxLength, output)
  print(
    color.bold(
      `a pass, ${counted(found.batchSize, 'row')} in a batch${found.gradAccum > 1 ? `, ${found.gradAccum} batches in a step` : ''}`,
    ),
  )
  showFacts(
    [
      ['first', epochOf(found.epoch)],
      ['second', epochOf(found.secondEpoch)],
    ],
    output,
  )
  print('')
  const ways = [
    ['plain', batching.plain],
    ['--group-by-length', batching.groupByLength],
    ...(batching.packing === undefined ? [] : [['--packing', batching.packing] as const]),
  ] as const
  for (const line of table(
    ['batches', 'steps', 'positions', 'padding'],
    ways.map(([name, cost]) => [name, count(cost.steps), count(cost.positions), percent(cost.padding)]),
    [1, 2, 3],
  ))
    print(line)
  if (evalData === undefined) return
  const { alsoTrainedOn } = evalData
  print('')
  print(color.bold(`to evaluate on: ${evalData.files.join(', ')}`))
  showPart({ ...evalData, shown: [] }, found.maxLength, output, [
    [
      'also trained on',
      `${rowsOrNone(alsoTrainedOn.rows)}; ${rowsOrNone(alsoTrainedOn.inputs)} with an input of theirs${pairs(alsoTrainedOn.first, Math.max(alsoTrainedOn.rows, alsoTrainedOn.inputs))}`,
    ],
  ])
}
