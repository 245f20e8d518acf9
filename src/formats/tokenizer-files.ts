/** @file The files that make a tokenizer, by their paths in a folder. */
import type { Files } from '../io/files.js'

export const TOKENIZER_FILE = 'tokenizer.json'

/** A vocabulary, a token's id by its text, and the merges that make its tokens: what a byte-level BPE was kept in before. */
export interface VocabularyFiles {
  readonly vocabulary: string
  readonly merges: string
}

/** As transformers calls them. Other kinds of tokenizers have files of these names too. */
export const TRANSFORMERS_VOCABULARY: VocabularyFiles = { vocabulary: 'vocab.json', merges: 'merges.txt' }

/** As OpenAI published those of GPT-2. */
export const GPT2_VOCABULARY: VocabularyFiles = { vocabulary: 'encoder.json', merges: 'vocab.bpe' }

/**
 * Whether a folder holds a tokenizer that may be read: tokenizer.json, or a vocabulary with its merges. One file of OpenAI's two
 * is enough, for it is a mistake that is worth a message.
 */
export async function hasTokenizer(files: Files, folder: string): Promise<boolean> {
  const isThere = (name: string): Promise<boolean> => files.exists(`${folder}/${name}`)
  if (await isThere(TOKENIZER_FILE)) return true
  const { vocabulary, merges } = TRANSFORMERS_VOCABULARY
  if ((await isThere(vocabulary)) && (await isThere(merges))) return true
  return (await isThere(GPT2_VOCABULARY.vocabulary)) || (await isThere(GPT2_VOCABULARY.merges))
}

/** Holds chat templates by their names, in files `NAME.jinja`; transformers reads and writes them beside the default one. */
export const TEMPLATE_FOLDER = 'additional_chat_templates'

/** What transformers takes in the place of the default where tools are given. */
export const TOOL_TEMPLATE_FILE = `${TEMPLATE_FOLDER}/tool_use.jinja`

/**
 * Files that say how a text becomes tokens and a dialogue a text, or that a tokenizer was made of, in the order in which
 * fingerprints take them.
 */
export const TOKENIZER_FILES: readonly string[] = [
  ...[TOKENIZER_FILE, 'tokenizer_config.json', 'special_tokens_map.json', 'added_tokens.json'],
  ...['vocab.json', 'vocab.txt', 'merges.txt', 'tokenizer.model', 'spiece.model', 'sentencepiece.bpe.model'],
  ...[GPT2_VOCABULARY.vocabulary, GPT2_VOCABULARY.merges],
  ...['chat_template.jinja', 'chat_template.json', TOOL_TEMPLATE_FILE],
]

/** Whether a path in a folder is that of a file of its tokenizer. */
export const isTokenizerFile = (path: string): boolean => TOKENIZER_FILES.includes(path) || isNamedTemplate(path)

/** Whether a path in a folder is that of a chat template with a name. */
export const isNamedTemplate = (path: string): boolean =>
  path.startsWith(`${TEMPLATE_FOLDER}/`) && /^[^/\\]+\.jinja$/.test(path.slice(TEMPLATE_FOLDER.length + 1))

/** The files of a folder's tokenizer that are there. Behind a network, where nothing can be listed, none of other names than ours. */
export async function tokenizerFilesOf(files: Files, folder: string): Promise<string[]> {
  const found: string[] = []
  for (const path of TOKENIZER_FILES) if (await files.exists(`${folder}/${path}`)) found.push(path)
  const templates = `${folder}/${TEMPLATE_FOLDER}`
  const names = (await files.isDirectory(templates)) ? await files.list(templates) : []
  const more = names.map((name) => `${TEMPLATE_FOLDER}/${name}`).filter((path) => isNamedTemplate(path) && !found.includes(path))
  return [...found, ...more]
}
