/** @file Models of tokenizer.json: a piece of text to tokens of the vocabulary. */
import { byType, type Component } from '../json.js'
import { bpe } from './bpe.js'
import { unigram } from './unigram.js'
import type { TokenModel } from './vocabulary.js'
import { wordLevel } from './word-level.js'
import { wordPiece } from './word-piece.js'

const makers: Readonly<Record<string, (component: Component) => TokenModel>> = {
  BPE: bpe,
  Unigram: unigram,
  WordLevel: wordLevel,
  WordPiece: wordPiece,
}

/** @throws InvalidDataError naming a type that is not known, or a field that is wrong */
export const createModel = (component: Component): TokenModel =>
  byType(component, 'model', makers, component.has('type') ? component.text('type') : guessType(component))

/** Old files name no type; the fields tell. */
function guessType(component: Component): string {
  if (component.has('merges')) return 'BPE'
  if (Array.isArray(component.raw('vocab'))) return 'Unigram'
  return component.has('continuing_subword_prefix') || component.has('max_input_chars_per_word') ? 'WordPiece' : 'WordLevel'
}
