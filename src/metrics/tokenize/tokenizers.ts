/** @file Tokenizers by name, as options and reports call them. */
import { words } from '../../jinja/unicode.js'
import { mteval13a } from './mteval-13a.js'
import { ptbTokenize } from './ptb.js'
import { wordTokenize } from './word-tokenize.js'

/**
 * - `13a`: NIST's mteval-v13a, {@link mteval13a}.
 * - `ptb`: coco-caption's Penn Treebank words without punctuation, {@link ptbTokenize}.
 * - `nltk`: NLTK's word_tokenize, {@link wordTokenize}.
 * - `whitespace`: what stands between white space, for texts that are tokenised already.
 */
export type TokenizerName = '13a' | 'ptb' | 'nltk' | 'whitespace'

/** The function of each. */
export const tokenizers: Readonly<Record<TokenizerName, (text: string) => readonly string[]>> = {
  '13a': mteval13a,
  ptb: ptbTokenize,
  nltk: wordTokenize,
  whitespace: words,
}

/** Their names. */
export const tokenizerNames = Object.keys(tokenizers) as readonly TokenizerName[]
