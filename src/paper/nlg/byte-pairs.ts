/** @file GPT-2's tokens as encoder.py of examples/NLG makes them: byte pairs alone, in which no text stands for a special token. */
import { readBpe } from '../../data/vocabulary-files.js'
import { InvalidDataError } from '../../errors.js'
import { GPT2_VOCABULARY, TRANSFORMERS_VOCABULARY } from '../../formats/tokenizer-files.js'
import type { Files } from '../../io/files.js'
import { Pipeline } from '../../tokenizer/pipeline.js'

/** Text to tokens and back. */
export interface BytePairs {
  encode(text: string): readonly number[]
  /** Bytes that are no UTF-8 become U+FFFD. @throws InvalidDataError for an id that is no token */
  decode(ids: readonly number[]): string
}

/**
 * Opens `--vocab`: a folder with `encoder.json` and `vocab.bpe`, or the same as transformers calls them, `vocab.json` and
 * `merges.txt`.
 * @throws InvalidDataError if it has neither, or a file is damaged
 */
export async function openBytePairs(files: Files, folder: string): Promise<BytePairs> {
  for (const names of [GPT2_VOCABULARY, TRANSFORMERS_VOCABULARY]) {
    const { vocabulary, merges } = names
    if (!(await files.exists(`${folder}/${vocabulary}`)) || !(await files.exists(`${folder}/${merges}`))) continue
    const pipeline = new Pipeline(await readBpe(files, folder, names), `${folder}/${vocabulary}`)
    return {
      encode: (text) => pipeline.encode(text),
      decode(ids) {
        const unknown = ids.find((id) => pipeline.tokenOf(id) === undefined)
        if (unknown !== undefined) throw new InvalidDataError(`token id ${unknown} is not in ${folder}/${vocabulary}`)
        return pipeline.decode(ids, false)
      },
    }
  }
  const pair = ({ vocabulary, merges }: typeof GPT2_VOCABULARY): string => `${vocabulary} and ${merges}`
  throw new InvalidDataError(
    `--vocab ${folder}: expected GPT-2's ${pair(GPT2_VOCABULARY)}, or ${pair(TRANSFORMERS_VOCABULARY)}, in this folder`,
  )
}
