/** @file A tokenizer as an argument. */
import type { ArgumentKind } from '../util/arguments.js'
import type { Tokenizer } from './tokenizer.js'

export const tokenizerArgument: ArgumentKind<Tokenizer> = {
  must: 'be a tokenizer',
  fits: (value): value is Tokenizer =>
    typeof value === 'object' && value !== null && 'encode' in value && 'decode' in value && 'tokenBytes' in value,
  advice: (value) =>
    typeof value === 'object' && value !== null && 'tokenizer' in value ? 'await its tokenizer() first' : undefined,
}
