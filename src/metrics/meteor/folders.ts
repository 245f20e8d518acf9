/** @file METEOR's data where they lie: WordNet's folder, and that of METEOR itself with its table of paraphrases. */
import { FileError } from '../../errors.js'
import type { Files } from '../../io/files.js'
import { gunzipChunks } from '../../io/gunzip.js'
import { decodeUtf8Chunks } from '../../io/utf8.js'
import { readParaphrases, type ParaphraseOptions, type Paraphrases } from './paraphrases.js'
import { readWordNet, wordNetFiles, type WordNet } from './wordnet.js'

/** Where Debian's package wordnet-base puts WordNet. */
export const WORDNET_FOLDER = '/usr/share/wordnet'

/** METEOR's table of paraphrases, in the folder `data` of its distribution. */
const PARAPHRASE_FILE = 'paraphrase-en.gz'
/** Packed bytes read at once. */
const CHUNK_BYTES = 1 << 20

/**
 * Reads WordNet from a folder.
 * @throws FileError saying what to install or to choose if a file is missing
 */
export async function openWordNet(files: Files, folder: string = WORDNET_FOLDER): Promise<WordNet> {
  for (const name of wordNetFiles)
    if (!(await files.exists(`${folder}/${name}`)))
      throw new FileError(
        `${folder} has no ${name}: METEOR's synonyms need WordNet 3.0, of which the index.* and *.exc of noun, verb, adj and adv are ` +
          'read. Install Debian\'s package "wordnet-base", name the folder that has them (--wordnet DIR), or choose modules that do ' +
          'without (--meteor-modules exact,stem)',
      )
  return readWordNet((name) => files.streamText(`${folder}/${name}`))
}

async function* packedChunks(files: Files, path: string): AsyncGenerator<Uint8Array> {
  const size = await files.size(path)
  for (let offset = 0; offset < size; offset += CHUNK_BYTES)
    yield await files.read(path, { offset, length: Math.min(CHUNK_BYTES, size - offset) })
}

/**
 * Reads the table of paraphrases of METEOR's folder `data`, unpacking it as it is read.
 * @throws FileError if it is not there
 */
export async function openParaphrases(files: Files, folder: string, options?: ParaphraseOptions): Promise<Paraphrases> {
  const path = `${folder}/${PARAPHRASE_FILE}`
  if (!(await files.exists(path)))
    throw new FileError(
      `${folder} has no ${PARAPHRASE_FILE}: METEOR's table of paraphrases lies in the folder "data" of METEOR 1.5; name that folder ` +
        '(--meteor-data DIR), or score without the module paraphrase',
    )
  return readParaphrases(decodeUtf8Chunks(gunzipChunks(packedChunks(files, path), path), path), options)
}
