/** @file NIST's tokenisation 13a, as mteval-v13a.pl and multi-bleu-detok.perl have it for Western languages. */
import { words } from '../../jinja/unicode.js'

type Step = readonly [pattern: RegExp, replacement: string]

/** Marks of the test sets, and line breaks: a hyphen at the end of a line joins. */
const LAYOUT: readonly Step[] = [
  [/<skipped>/g, ''],
  [/-\n/g, ''],
  [/\n/g, ' '],
  // In this order: `&amp;lt;` becomes `<`.
  [/&quot;/g, '"'],
  [/&amp;/g, '&'],
  [/&lt;/g, '<'],
  [/&gt;/g, '>'],
]

/** Each goes once from left to right: of `a,,b` the second comma is left to the next pattern. */
const SPLITS: readonly Step[] = [
  // ASCII punctuation but for apostrophe, comma, hyphen and period.
  [/[{-~[-` -&(-+:-@/]/g, ' $& '],
  // Periods and commas, unless they stand between digits.
  [/([^0-9])([.,])/g, '$1 $2 '],
  [/([.,])([^0-9])/g, ' $1 $2'],
  [/([0-9])-/g, '$1 - '],
]

const apply = (text: string, steps: readonly Step[]): string =>
  steps.reduce((result, [pattern, replacement]) => result.replace(pattern, replacement), text)

/**
 * Splits a text into words as NIST's mteval-v13a.pl does: punctuation apart, but not in numbers (`3.5`), contractions and words
 * with hyphens. Letters keep their case.
 *
 * Source: NIST, mteval-v13a.pl (2009), `NormalizeText` of Western languages.
 *
 * @example
 * mteval13a('It costs $3.50, roughly.') // ['It', 'costs', '$', '3.50', ',', 'roughly', '.']
 */
export const mteval13a = (text: string): readonly string[] => words(apply(` ${apply(text, LAYOUT)} `, SPLITS))
