/** @file A folder with files for training, evaluation and testing, told by their names as mlx-lm and the hub have them. */
import { InvalidDataError } from '../errors.js'
import type { Files } from '../io/files.js'
import { someOf } from '../util/some-of.js'
import { formatOf } from './open-rows.js'

/** What rows are for. Of a folder without `test`, its `valid` is taken in its place. */
export type Part = 'train' | 'valid' | 'test'

/** Names of each part, before the extension. */
const names: Readonly<Record<Part, readonly string[]>> = {
  train: ['train', 'training'],
  valid: ['valid', 'validation', 'val', 'dev', 'eval'],
  test: ['test'],
}

const known: ReadonlySet<string> = new Set(Object.values(names).flat())

/** `train`, and shards of it: `train-00000-of-00002`, on the hub also with a hash behind; `train_1`. */
const STEM = /^([a-z]+)(?:[-_.]\d+(?:[-_]of[-_]\d+(?:-[0-9a-f]{16})?)?)?$/i

interface Entry {
  readonly file: string
  readonly word: string
  readonly isShard: boolean
  readonly format: string
}

function entryOf(file: string): Entry | undefined {
  const format = formatOf(file)
  if (format === undefined) return undefined
  const stem = file.replace(/\.gz$/i, '').replace(/\.[^.]+$/, '')
  const word = STEM.exec(stem)?.[1]?.toLowerCase()
  return word === undefined ? undefined : { file, word, isShard: stem.length > word.length, format: format.format }
}

/**
 * The files of a part, in the order of their names, and beside those for training the ones to evaluate on.
 * @throws InvalidDataError if the folder has none of the part, or two files that may both be it
 */
export async function filesOfPart(
  files: Files,
  folder: string,
  part: Part,
): Promise<{ readonly paths: readonly string[]; readonly beside: readonly string[] }> {
  const root = folder.replace(/[/\\]+$/, '') || folder
  const listed = await files.list(root)
  // The hub's repositories keep their files one level down.
  const hasParts = listed.some((file) => known.has(entryOf(file)?.word ?? ''))
  const within = hasParts || !listed.includes('data') ? root : `${root}/data`
  const all = within === root ? listed : (await files.isDirectory(within)) ? await files.list(within) : []
  const entries = all.flatMap((file) => entryOf(file) ?? [])
  const wanted = part === 'test' ? (['test', 'valid'] as const) : ([part] as const)
  const found = wanted.map((each) => pick(within, entries, each)).find((each) => each.length > 0)
  if (found === undefined)
    throw new InvalidDataError(
      `${folder}: the folder has no file of rows called ${wanted.flatMap((each) => names[each]).join(', ')} (.jsonl, .json, .csv, .tsv, .parquet, each also with .gz); it holds ${someOf(all) || 'nothing'}. Rename a file, or name it in place of the folder.`,
    )
  return { paths: found, beside: part === 'train' ? pick(within, entries, 'valid') : [] }
}

/** @throws InvalidDataError if two files may both be the part */
function pick(folder: string, entries: readonly Entry[], part: Part): string[] {
  const fitting = entries.filter(({ word }) => names[part].includes(word))
  const [first] = fitting
  const isOne = fitting.every(({ word, isShard, format }) => isShard && word === first!.word && format === first!.format)
  if (fitting.length > 1 && !isOne)
    throw new InvalidDataError(
      `${folder}: ${someOf(fitting.map(({ file }) => file))} may each be the rows for ${part === 'train' ? 'training' : part === 'valid' ? 'evaluation' : 'testing'}; keep one of them there, or name the files themselves: data (--data) and evalData (--eval-data).`,
    )
  return fitting.map(({ file }) => `${folder}/${file}`)
}
