/** @file Answers that are calls of tools and nothing else: the format's own texts, a name, arguments by the tool's schema. */
import { either, literal, nothing, optional, repeat, sequence, type Expression } from '../constrain/expression.js'
import { GrammarConstraint } from '../constrain/grammar-constraint.js'
import { anyObject } from '../constrain/json.js'
import { readSchema } from '../constrain/schema/read.js'
import { Vocabulary } from '../constrain/vocabulary.js'
import type { Tokenizer } from '../data/tokenizer.js'
import { InvalidOptionError } from '../errors.js'
import type { Constraint } from '../generate/constraint.js'
import { ID_MARK, type ToolCallFormat } from './tool-call-format.js'
import type { Tool } from './tool.js'

/** Calls of one answer, where there may be several. */
const MOST_CALLS = 16

/** Models write no ids: who reads the calls makes them. */
const withoutIds = (text: string): string =>
  text.replace(new RegExp(`,\\s*"id"\\s*:\\s*"${ID_MARK}"`, 'g'), '').replaceAll(ID_MARK, '')

function argumentsOf({ function: { name, parameters } }: Tool): Expression {
  if (parameters === undefined) return anyObject
  try {
    return readSchema(Object.keys(parameters).length === 0 ? { type: 'object' } : parameters)
  } catch (cause) {
    if (!(cause instanceof InvalidOptionError)) throw cause
    throw new InvalidOptionError(`the parameters of the tool "${name}": ${cause.message}`, { cause })
  }
}

/**
 * @param tools those that may be called; at least one
 * @param parallel whether there may be several calls
 */
export function toolCallConstraint(
  tokenizer: Tokenizer,
  format: ToolCallFormat,
  tools: readonly Tool[],
  parallel: boolean,
): Constraint {
  const vocabulary = Vocabulary.of(tokenizer)
  const text = (written: string): Expression => vocabulary.literal(withoutIds(written))
  const between = text(format.between)
  const call = either(...tools.map((tool) => sequence(literal(tool.function.name), between, argumentsOf(tool))))
  const more = parallel && format.next !== undefined ? repeat(sequence(text(format.next), call), 0, MOST_CALLS - 1) : nothing
  // Models whose tokens bring their spaces begin an answer with one.
  return new GrammarConstraint(tokenizer, sequence(optional(literal(' ')), text(format.head), call, more, text(format.tail)))
}
