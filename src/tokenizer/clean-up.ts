/** @file Blanks that a tokenizer puts before punctuation and English contractions, taken back. */

type Pair = readonly [from: string, to: string]

/** What transformers' `clean_up_tokenization_spaces` replaces, in its order. */
const common: readonly Pair[] = [
  [' .', '.'],
  [' ?', '?'],
  [' !', '!'],
  [' ,', ','],
  [" ' ", "'"],
  [" n't", "n't"],
  [" 'm", "'m"],
  [" 's", "'s"],
  [" 've", "'ve"],
  [" 're", "'re"],
]

/** The WordPiece decoder of tokenizers has one more, between those of `'m` and `'s`. */
const wordPiece = common.flatMap((pair): Pair[] => (pair[0] === " 's" ? [[' do not', " don't"], pair] : [pair]))

const replacing =
  (pairs: readonly Pair[]) =>
  (text: string): string =>
    pairs.reduce((done, [from, to]) => done.replaceAll(from, to), text)

/** `clean_up_tokenization_spaces` of transformers. */
export const cleanUpSpaces = replacing(common)

/** `cleanup` of the decoders WordPiece and CTC. */
export const cleanUpPieces = replacing(wordPiece)
