/** @file The files that make a tokenizer, and where each special token is named. */
import { InvalidDataError } from '../errors.js'
import { hasTokenizer, TOKENIZER_FILE, TOOL_TEMPLATE_FILE } from '../formats/tokenizer-files.js'
import type { Files } from '../io/files.js'
import { readJsonObject } from '../util/json.js'
import { readVocabularyFiles } from './vocabulary-files.js'

type Json = Record<string, unknown>

export interface TokenizerFolder {
  /** tokenizer.json, or the same made of the files of a vocabulary. */
  readonly tokenizer: Json
  /** Where that was read, for messages. */
  readonly file: string
  /** tokenizer_config.json, empty where there is none. */
  readonly config: Json
  readonly specialTokensMap: Json
  /** added_tokens.json, empty where there is none. */
  readonly addedTokens: Json
  readonly generationConfig: Json
  readonly modelConfig: Json
  readonly template: TemplateSource | undefined
  /** The one that takes the place of it where tools are given, if there is one. */
  readonly toolTemplate: TemplateSource | undefined
}

/** A chat template and where it was read. */
export interface TemplateSource {
  readonly source: string
  readonly file: string
}

export interface SpecialTokens {
  readonly bos: number | undefined
  readonly eos: number | undefined
  readonly pad: number | undefined
  readonly unk: number | undefined
  /** Every token that ends generation: the tokenizer's own and the model's. */
  readonly ends: readonly number[]
  /** Those that the model's configs name, which transformers stops at. */
  readonly modelEnds: readonly number[]
  /** Texts by the names that chat templates use. */
  readonly names: Readonly<Record<string, string>>
}

/**
 * Reads a tokenizer's files; undefined if there is neither tokenizer.json nor a byte-level vocabulary with its merges.
 * @throws InvalidDataError naming a damaged file
 */
export async function readTokenizerFolder(files: Files, folder: string): Promise<TokenizerFolder | undefined> {
  if (!(await hasTokenizer(files, folder))) return undefined
  const json = async (name: string): Promise<Json> => {
    const path = `${folder}/${name}`
    return (await files.exists(path)) ? readJsonObject(files, path, InvalidDataError) : {}
  }
  const path = `${folder}/${TOKENIZER_FILE}`
  const modelConfig = await json('config.json')
  const own = await json('tokenizer_config.json')
  const found = (await files.exists(path))
    ? { tokenizer: await json(TOKENIZER_FILE), config: own, file: path }
    : await readVocabularyFiles(files, folder, own, modelConfig)
  if (found === undefined) return undefined
  const { config } = found
  return {
    ...found,
    specialTokensMap: await json('special_tokens_map.json'),
    addedTokens: await json('added_tokens.json'),
    generationConfig: await json('generation_config.json'),
    modelConfig,
    template: await readTemplate(files, folder, config),
    toolTemplate: await readToolTemplate(files, folder, config),
  }
}

/** chat_template.jinja goes before the field of tokenizer_config.json, as in transformers. */
async function readTemplate(files: Files, folder: string, config: Json): Promise<TokenizerFolder['template']> {
  const path = `${folder}/chat_template.jinja`
  if (await files.exists(path)) return { source: await files.readText(path), file: path }
  const file = `${folder}/tokenizer_config.json`
  const field = config['chat_template']
  if (field === undefined || field === null) return undefined
  if (typeof field === 'string') return { source: field, file }
  if (Array.isArray(field)) {
    const named = field as { name?: unknown; template?: unknown }[]
    const chosen = named.find((entry) => entry.name === 'default')?.template
    if (typeof chosen === 'string') return { source: chosen, file }
    throw new InvalidDataError(
      `${file}: of its chat templates (${named.map((entry) => String(entry.name)).join(', ')}) none is named "default".`,
    )
  }
  throw new InvalidDataError(`${file}: "chat_template" must be text or a list of named templates.`)
}

/** The template named "tool_use", which transformers takes instead of the default where tools are given. */
async function readToolTemplate(files: Files, folder: string, config: Json): Promise<TemplateSource | undefined> {
  const path = `${folder}/${TOOL_TEMPLATE_FILE}`
  if (await files.exists(path)) return { source: await files.readText(path), file: path }
  const field = config['chat_template']
  if (!Array.isArray(field) || (await files.exists(`${folder}/chat_template.jinja`))) return undefined
  const named = field as { name?: unknown; template?: unknown }[]
  const source = named.find((entry) => entry.name === 'tool_use')?.template
  return typeof source === 'string' ? { source, file: `${folder}/tokenizer_config.json ("tool_use")` } : undefined
}

/**
 * The tokenizer's own names go first, then the ids of the model's configs.
 * @param tokens texts by role
 */
export function readSpecialTokens(
  folder: TokenizerFolder,
  tokens: Readonly<Partial<Record<string, string>>>,
  idOf: (token: string) => number | undefined,
): SpecialTokens {
  const names: Record<string, string> = {}
  const own = (role: string): number | undefined => {
    const text = tokens[role]
    if (text === undefined) return undefined
    names[`${role}_token`] = text
    return idOf(text)
  }
  const ofModel = (role: string): number[] => {
    const id = folder.generationConfig[`${role}_token_id`] ?? folder.modelConfig[`${role}_token_id`]
    return (Array.isArray(id) ? id : [id]).filter((value): value is number => Number.isInteger(value))
  }
  for (const role of ['sep', 'cls', 'mask']) own(role)
  const eos = own('eos')
  const modelEnds = ofModel('eos')
  return {
    bos: own('bos') ?? ofModel('bos')[0],
    eos: eos ?? modelEnds[0],
    pad: own('pad') ?? ofModel('pad')[0],
    unk: own('unk'),
    ends: [...new Set([...(eos === undefined ? [] : [eos]), ...modelEnds])],
    modelEnds,
    names,
  }
}

/** A token as text: configs write it plainly or as an object with `content`. */
export function tokenText(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  if (typeof value === 'object' && value !== null && 'content' in value && typeof value.content === 'string') return value.content
  return undefined
}
