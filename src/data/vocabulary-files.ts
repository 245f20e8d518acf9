/**
 * @file A byte-level BPE without tokenizer.json: the vocabulary and merges that transformers keeps (`vocab.json`, `merges.txt`) or
 * that OpenAI published for GPT-2 (`encoder.json`, `vocab.bpe`). What they leave open, the class of the tokenizer says.
 */
import { InvalidDataError } from '../errors.js'
import { GPT2_VOCABULARY, TRANSFORMERS_VOCABULARY, type VocabularyFiles } from '../formats/tokenizer-files.js'
import type { Files } from '../io/files.js'
import { readJsonObject } from '../util/json.js'
import { classOf } from './tokenizer-class.js'

type Json = Readonly<Record<string, unknown>>

/** What tokenizer.json would hold, and where it is from. */
export interface VocabularyTokenizer {
  /** As tokenizer.json. */
  readonly tokenizer: Record<string, unknown>
  /** tokenizer_config.json, with the class where no file of the folder names one. */
  readonly config: Record<string, unknown>
  /** The file of the vocabulary, for messages. */
  readonly file: string
}

/** The class of OpenAI's files, which name none. */
const GPT2_CLASS = 'GPT2Tokenizer'

/** Merges, one a line below the version: two tokens that become one. @throws InvalidDataError naming the line of another */
function parseMerges(text: string, path: string): [string, string][] {
  const merges: [string, string][] = []
  text.split(/\r?\n/).forEach((line, i) => {
    if (line === '' || line.startsWith('#version')) return
    const [first, second, ...more] = line.split(' ')
    if (!first || !second || more.length > 0)
      throw new InvalidDataError(
        `${path}, line ${i + 1}: expected two tokens with a blank between them, found "${line.slice(0, 80)}"`,
      )
    merges.push([first, second])
  })
  return merges
}

/**
 * What tokenizer.json would hold of a vocabulary and its merges, without a token that is added to it.
 * @throws InvalidDataError naming the line that is no merge; FileError for a file that is missing
 */
export async function readBpe(files: Files, folder: string, names: VocabularyFiles): Promise<Record<string, unknown>> {
  const vocab = await readJsonObject(files, `${folder}/${names.vocabulary}`, InvalidDataError)
  const path = `${folder}/${names.merges}`
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true }
  return {
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: { type: 'BPE', vocab, merges: parseMerges(await files.readText(path), path) },
  }
}

/**
 * The tokenizer of a folder without tokenizer.json, as transformers makes it of the other files.
 * @returns undefined where the folder has none of the files, or no class that lowrank knows says what else the tokenizer does
 * @throws InvalidDataError if one of OpenAI's files is there and the other is not, or one is damaged
 */
export async function readVocabularyFiles(
  files: Files,
  folder: string,
  config: Json,
  modelConfig: Json,
): Promise<VocabularyTokenizer | undefined> {
  const have = async ({ vocabulary, merges }: VocabularyFiles): Promise<[boolean, boolean]> => [
    await files.exists(`${folder}/${vocabulary}`),
    await files.exists(`${folder}/${merges}`),
  ]
  if ((await have(TRANSFORMERS_VOCABULARY)).every(Boolean)) {
    const tokenizer = await readBpe(files, folder, TRANSFORMERS_VOCABULARY)
    if (classOf(tokenizer, config, modelConfig) === undefined) return undefined
    return { tokenizer, config: { ...config }, file: `${folder}/${TRANSFORMERS_VOCABULARY.vocabulary}` }
  }
  const [vocabulary, merges] = await have(GPT2_VOCABULARY)
  if (!vocabulary && !merges) return undefined
  if (!vocabulary || !merges)
    throw new InvalidDataError(
      `${folder} has ${vocabulary ? GPT2_VOCABULARY.vocabulary : GPT2_VOCABULARY.merges} but no ` +
        `${vocabulary ? GPT2_VOCABULARY.merges : GPT2_VOCABULARY.vocabulary}; GPT-2's tokenizer is both of them`,
    )
  // Other models number the same tokens otherwise: RoBERTa's of these files need a dictionary too.
  const named = { tokenizer_class: GPT2_CLASS }
  const tokenizer = await readBpe(files, folder, GPT2_VOCABULARY)
  const found = classOf(tokenizer, config, modelConfig)
  if (found !== undefined && found !== classOf(tokenizer, named, {})) return undefined
  return { tokenizer, config: { ...named, ...config }, file: `${folder}/${GPT2_VOCABULARY.vocabulary}` }
}
