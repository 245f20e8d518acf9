/** @file What is said where a tokenizer is needed and there is none. */
import { InvalidDataError } from '../errors.js'
import { at, type Row } from './rows.js'
import type { Tokenizer } from './tokenizer.js'

const HOW_TO_ADD =
  "add the tokenizer's files to it (tokenizer.json, or GPT-2's encoder.json and vocab.bpe); of an older tokenizer Python makes " +
  'tokenizer.json: AutoTokenizer.from_pretrained(…).save_pretrained(…)'

/**
 * @param who has none, as the beginning of the message
 * @param instead what does without, if anything does
 * @throws InvalidDataError if there is none, saying how to get one
 */
export function neededTokenizer(tokenizer: Tokenizer | undefined, who: string, instead?: string): Tokenizer {
  if (tokenizer !== undefined) return tokenizer
  throw new InvalidDataError(`${who} has no tokenizer.json; ${HOW_TO_ADD}${instead === undefined ? '' : `. Or ${instead}`}.`)
}

/**
 * The tokenizer of a row of text.
 * @param fields of a row that needs none
 * @throws InvalidDataError naming the row
 */
export const rowTokenizer = (row: Row, tokenizer: Tokenizer | undefined, fields = '{"input_ids": […]}'): Tokenizer =>
  neededTokenizer(tokenizer, `${at(row)}: the row is text, but the model's folder`, `give tokenised rows (${fields})`)
