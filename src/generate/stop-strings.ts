/** @file Texts at which a text ends. */
import { neededTokenizer } from '../data/needed-tokenizer.js'
import type { Tokenizer } from '../data/tokenizer.js'
import { InvalidOptionError } from '../errors.js'
import type { Model } from '../model/model.js'
import type { GenerateOptions } from './generate-options.js'

/** What stops a text, as it is looked for. */
export interface Stops {
  readonly texts: readonly string[]
  /** Those that are one special token, which text never shows. */
  readonly tokens: ReadonlySet<number>
}

/** @throws InvalidOptionError for an empty one; InvalidDataError without a tokenizer */
export function stopStrings(model: Model, tokenizer: Tokenizer | undefined, { stop = [] }: Pick<GenerateOptions, 'stop'>): Stops {
  const texts = typeof stop === 'string' ? [stop] : stop
  if (texts.length === 0) return { texts, tokens: new Set() }
  const known = neededTokenizer(tokenizer, `stop strings need a tokenizer, and ${model.path}`, 'use eosTokenIds')
  if (texts.includes('')) throw new InvalidOptionError('a stop string must not be empty')
  const tokens = new Set<number>()
  for (const text of texts) {
    const [id, ...more] = known.encode(text, { addSpecialTokens: false })
    if (id === undefined || more.length > 0) continue
    if (known.decode([id]) === text && known.decode([id], { skipSpecialTokens: true }) === '') tokens.add(id)
  }
  return { texts, tokens }
}
