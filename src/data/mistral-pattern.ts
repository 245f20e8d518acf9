/** @file `fix_mistral_regex` of tokenizer_config.json: Mistral's files of 2025 split words by a pattern that was not theirs. */

type Json = Readonly<Record<string, unknown>>

/** The pattern that the models were trained with. */
const pattern =
  '[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+|' +
  '[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*|' +
  '\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+'

/** Smaller vocabularies are of Mistral's earlier tokenizers, which need no mending. */
const LEAST_VOCABULARY = 100_000

const mistrals = new Set(['mistral', 'mistral3', 'voxtral', 'ministral', 'pixtral'])

/**
 * The pre-tokenizer that transformers puts in the place of the file's where `fix_mistral_regex` is set: beside a config.json
 * of one of Mistral's models that transformers before 5.0 has written. undefined where it leaves the file's.
 * @param size tokens of the vocabulary and those added to it
 */
export function mendedPreTokenizer(preTokenizer: unknown, config: Json, modelConfig: Json, size: number): Json | undefined {
  if (config['fix_mistral_regex'] !== true || size <= LEAST_VOCABULARY) return undefined
  if (typeof preTokenizer !== 'object' || preTokenizer === null || Object.keys(modelConfig).length === 0) return undefined
  const { transformers_version: version, model_type: modelType } = modelConfig
  if (typeof version === 'string' && version !== '') {
    if (!isBefore5(version)) return undefined
    if (typeof modelType === 'string' && !mistrals.has(modelType)) return undefined
  }
  const split: Json = { type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false }
  const own = preTokenizer as Json
  if (own['type'] === 'Sequence')
    return { ...own, pretokenizers: [split, ...(own['pretokenizers'] as readonly unknown[]).slice(1)] }
  // Behind the pattern, Metaspace would lose the spaces.
  const bytes: Json = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false }
  return { type: 'Sequence', pretokenizers: [split, own['type'] === 'Metaspace' ? bytes : own] }
}

/** Versions to come, as 5.0.0rc1, lie before the version itself. */
const isBefore5 = (version: string): boolean => Number.parseInt(version, 10) < 5 || /^5(\.0)*\.?(dev|a|b|rc)/.test(version)
