/** @file Segments from the text files of the E2E challenge's scripts and of GenerationEval. */
import { InvalidDataError } from '../errors.js'
import { strip } from '../jinja/unicode.js'
import type { Segment } from './segment.js'

/** The text of a file, and what messages call it. */
export interface TextFile {
  /** What messages call it. */
  readonly name: string
  /** All that is in it. */
  readonly text: string
}

/** A line without white space at its ends, and its number from 1. */
interface Line {
  readonly text: string
  readonly number: number
}

/** The lines of a file; what ends the last one begins no other. */
function linesOf({ text }: TextFile): Line[] {
  const lines = text.replace(/^\ufeff/, '').split('\n')
  if (lines.at(-1) === '') lines.pop()
  return lines.map((line, i) => ({ text: strip(line, undefined, 'both'), number: i + 1 }))
}

/** References by group, an empty line behind each; of the last one it may be left out. */
function groupsOf(file: TextFile): Line[][] {
  const lines = linesOf(file)
  while (lines.at(-1)?.text === '') lines.pop()
  const groups: Line[][] = [[]]
  for (const line of lines) {
    if (line.text !== '') groups.at(-1)!.push(line)
    else if (groups.at(-1)!.length > 0) groups.push([])
    else
      throw new InvalidDataError(
        `${file.name}, line ${line.number}: an empty line that ends no group of references; groups have one reference a line and one empty line behind them.`,
      )
  }
  return lines.length === 0 ? [] : groups
}

const counted = (count: number, thing: string): string => `${count} ${thing}${count === 1 ? '' : 's'}`

/** One more line than there is on the other side. */
function refuseCounts(longer: TextFile, line: number, what: string, shorter: TextFile, has: string, hint = ''): never {
  throw new InvalidDataError(`${longer.name}, line ${line}: ${what}, for ${shorter.name} has only ${has}.${hint}`)
}

/**
 * Segments from the texts of files. One file of references is that of the E2E challenge: the references of a segment one a line,
 * and an empty line behind them. A list of files is GenerationEval's (`reference0`, `reference1`, …): line by line the references
 * of a segment, which may be empty. Hypotheses are one a line. White space at the ends of lines is no part of them.
 *
 * @throws InvalidDataError where the numbers of segments differ, with the file and the line, or there are none
 * @example
 * segmentsOfFiles({ name: 'hyps', text: 'a cat\n' }, { name: 'refs', text: 'the cat\nsome cat\n' })
 * // [{ hypothesis: 'a cat', references: ['the cat', 'some cat'] }]
 */
export function segmentsOfFiles(hypotheses: TextFile, references: TextFile | readonly TextFile[]): Segment[] {
  const lines = linesOf(hypotheses)
  if (lines.length === 0) throw new InvalidDataError(`${hypotheses.name} is empty; it needs one hypothesis a line.`)
  return 'text' in references ? grouped(hypotheses, lines, references) : parallel(hypotheses, lines, references)
}

function grouped(file: TextFile, hypotheses: readonly Line[], references: TextFile): Segment[] {
  const groups = groupsOf(references)
  const hint =
    groups.length === 1 && groups[0]!.length === hypotheses.length
      ? ' Where each line is the reference of one hypothesis, give the file as one of a list (--num-refs 1).'
      : ''
  if (hypotheses.length > groups.length)
    refuseCounts(file, groups.length + 1, 'a hypothesis without references', references, counted(groups.length, 'group'), hint)
  if (groups.length > hypotheses.length)
    refuseCounts(references, groups[hypotheses.length]![0]!.number, 'references without a hypothesis', file, counted(hypotheses.length, 'line')) // prettier-ignore
  return hypotheses.map(({ text }, i) => ({ hypothesis: text, references: groups[i]!.map((line) => line.text) }))
}

function parallel(file: TextFile, hypotheses: readonly Line[], references: readonly TextFile[]): Segment[] {
  if (references.length === 0) throw new InvalidDataError('there is no file of references; give one or more')
  const columns = references.map((reference) => {
    const lines = linesOf(reference)
    if (hypotheses.length > lines.length)
      refuseCounts(file, lines.length + 1, 'a hypothesis without a reference', reference, counted(lines.length, 'line'))
    if (lines.length > hypotheses.length)
      refuseCounts(reference, hypotheses.length + 1, 'a reference without a hypothesis', file, counted(hypotheses.length, 'line'))
    return lines
  })
  return hypotheses.map(({ text }, i) => ({ hypothesis: text, references: columns.map((lines) => lines[i]!.text) }))
}
