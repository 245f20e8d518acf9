/** @file A tokenizer's pipeline from its files, with the tokens and components that transformers' AutoTokenizer gives it. */
import { readAddedToken, type AddedToken } from '../tokenizer/added-tokens.js'
import { Component } from '../tokenizer/json.js'
import { Pipeline } from '../tokenizer/pipeline.js'
import { mendedPreTokenizer } from './mistral-pattern.js'
import { classOf, plainSpecial, roles, type Role, type TokenizerClass } from './tokenizer-class.js'
import { tokenText, type TokenizerFolder } from './tokenizer-folder.js'

/** A pipeline, and what it knows of special tokens. */
export interface BuiltPipeline {
  readonly pipeline: Pipeline
  /** Texts of the special tokens by their role. */
  readonly tokens: Readonly<Partial<Record<Role, string>>>
  readonly tokenizerClass: TokenizerClass | undefined
}

/**
 * Builds it as AutoTokenizer of transformers 5 does:
 * 1. a class that rebuilds its tokenizer puts its own components in the place of tokenizer.json's;
 * 2. special tokens are named by tokenizer_config.json and, where that has no `added_tokens_decoder`, by
 *    special_tokens_map.json, which goes before it;
 * 3. the tokens of `added_tokens_decoder` are added in the order of their ids, then named ones that are no added tokens,
 *    then `extra_special_tokens`; those that the vocabulary lacks are numbered on;
 * 4. `fix_mistral_regex` puts the right pattern in the place of a wrong one.
 *
 * `add_bos_token` and `add_eos_token` mean nothing beside a tokenizer.json, whose post-processor decides; what it says of
 * truncation and padding is put aside.
 * @param lowercase text in lower case before all else
 * @throws InvalidDataError naming a component that is not supported, or a field that is wrong
 */
export function buildPipeline(contents: TokenizerFolder, folder: string, lowercase: boolean): BuiltPipeline {
  const { tokenizer: file, config, modelConfig } = contents
  const tokenizerClass = classOf(file, config, modelConfig)
  const hasDecoder = typeof config['added_tokens_decoder'] === 'object' && config['added_tokens_decoder'] !== null
  const named: Record<string, unknown> = { ...config, ...(hasDecoder ? {} : contents.specialTokensMap) }
  const given = givenTokens(contents, folder, hasDecoder)
  const tokens = roleTokens(tokenizerClass, named)
  const nameOf = (role: Role): string => tokens[role] ?? ''
  const built = tokenizerClass === undefined ? file : { ...tokenizerClass.rebuild(file, config, nameOf), added_tokens: [] }
  const json = lowercase ? lowercased(built) : built
  const options = { splitSpecialTokens: config['split_special_tokens'] === true }
  const pipeline = new Pipeline(json, contents.file, options)
  pipeline.addTokens(toAdd(given, tokens, named, pipeline))
  if (tokenizerClass?.plainSpecials === true) pipeline.addTokens(Object.values(tokens).map(plainSpecial))
  const mended = mendedPreTokenizer(json['pre_tokenizer'], config, modelConfig, pipeline.size)
  if (mended !== undefined) pipeline.setPreTokenizer(mended)
  if (tokenizerClass?.postProcessor !== undefined)
    pipeline.setPostProcessor(tokenizerClass.postProcessor(nameOf, (role) => pipeline.idOf(nameOf(role)) ?? 0))
  return { pipeline, tokens, tokenizerClass }
}

/** A tokenizer whose text is put in lower case first. */
function lowercased(file: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const parts = [{ type: 'Lowercase' }, file['normalizer'] ?? []].flat()
  return { ...file, normalizer: { type: 'Sequence', normalizers: parts } }
}

/** The class's special tokens, or those that the files name; null is none. */
function roleTokens(
  tokenizerClass: TokenizerClass | undefined,
  named: Readonly<Record<string, unknown>>,
): Partial<Record<Role, string>> {
  const tokens: Partial<Record<Role, string>> = {}
  for (const role of roles) {
    const value = named[`${role}_token`]
    const text = value === undefined ? tokenizerClass?.tokens[role] : tokenText(value)
    if (text !== undefined) tokens[role] = text
  }
  return tokens
}

/** Tokens of `added_tokens_decoder`, or else of added_tokens.json and tokenizer.json, by id. */
function givenTokens(contents: TokenizerFolder, folder: string, hasDecoder: boolean): Map<number, AddedToken> {
  const found = new Map<number, AddedToken>()
  if (hasDecoder) {
    const place = `${folder}/tokenizer_config.json: added_tokens_decoder`
    for (const [id, token] of Object.entries(contents.config['added_tokens_decoder'] as Record<string, unknown>))
      found.set(Number(id), readAddedToken(Component.of(token, `${place}[${id}]`)))
    return found
  }
  for (const [content, id] of Object.entries(contents.addedTokens))
    if (typeof id === 'number')
      found.set(id, { ...plainSpecial(content), normalized: !isNamed(content, contents), special: isNamed(content, contents) })
  const file = Component.of(contents.tokenizer, contents.file)
  if (file.has('added_tokens')) for (const c of file.parts('added_tokens')) found.set(c.count('id'), readAddedToken(c))
  return found
}

/** Whether a file names a token as special. */
const isNamed = (content: string, { config, specialTokensMap }: TokenizerFolder): boolean =>
  [config, specialTokensMap].some(
    (names) =>
      roles.some((role) => tokenText(names[`${role}_token`]) === content) ||
      extras(names).some((extra) => tokenText(extra) === content),
  )

/** Special tokens without a role: a list, or texts by names of the model's own. */
function extras(names: Readonly<Record<string, unknown>>): unknown[] {
  const extra = names['extra_special_tokens']
  const listed =
    extra === undefined || extra === null || (Array.isArray(extra) && extra.length === 0)
      ? names['additional_special_tokens']
      : extra
  if (Array.isArray(listed)) return listed as unknown[]
  return typeof listed === 'object' && listed !== null ? Object.values(listed) : []
}

/** What is added to the tokens that a pipeline has, in order. */
function toAdd(
  given: ReadonlyMap<number, AddedToken>,
  tokens: Partial<Record<Role, string>>,
  named: Readonly<Record<string, unknown>>,
  pipeline: Pipeline,
): AddedToken[] {
  const specials = new Set(Object.values(tokens))
  const others = Object.keys(named).filter(
    (key) => key.endsWith('_token') && !roles.some((role) => key === `${role}_token`) && typeof named[key] === 'string',
  )
  const byText = new Map([...given.values()].map((token) => [token.content, token]))
  const list = [...given]
    .sort(([a], [b]) => a - b)
    .map(([, token]) => (specials.has(token.content) ? { ...token, special: true } : token))
  const seen = new Set(list.map(({ content }) => content))
  for (const value of [
    ...roles.map((role) => (tokens[role] === undefined ? undefined : (named[`${role}_token`] ?? tokens[role]))),
    ...others.map((key) => named[key]),
    ...extras(named),
  ]) {
    const content = tokenText(value)
    if (content === undefined || seen.has(content) || pipeline.hasAdded(content)) continue
    seen.add(content)
    list.push(byText.get(content) ?? flagged(value, content))
  }
  return list
}

/** A special token as the configuration writes it: a text, or an object with flags. */
function flagged(value: unknown, content: string): AddedToken {
  if (typeof value !== 'object' || value === null) return plainSpecial(content)
  return { ...readAddedToken(Component.of({ normalized: true, ...value }, content)), special: true }
}
