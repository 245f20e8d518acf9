/** @file What of a folder is published: what the adapter or model consists of, and nothing that a run left beside it. */
import { InvalidAdapterError, InvalidModelError, InvalidOptionError } from '../errors.js'
import type { Files } from '../io/files.js'
import { isTransient } from '../io/folder-lock.js'
import { homesOf, placeOutside } from '../io/places.js'
import { checkpointName, listCheckpoints } from '../model/output-place.js'
import { someNames, someOf } from '../util/some-of.js'
import { matches } from './globs.js'
import { configFile, describingFiles, isIndex, shardsOf, tensorFiles } from './repository-files.js'

/** A file that is published. */
export interface PublishedFile {
  /** In the folder and in the repository, with `/` between folders. */
  readonly path: string
  /** In bytes. */
  readonly size: number
}

/** What a folder has to publish. */
export interface Publishable {
  readonly kind: 'adapter' | 'model'
  readonly files: readonly PublishedFile[]
}

/** Patterns of what is taken beside, and left out. */
export interface Choice {
  readonly include?: readonly string[]
  readonly exclude?: readonly string[]
}

/** What people write for people, and what image and audio models are fed by. */
const BESIDE = /^(README\.md|(LICENSE|NOTICE|USE_POLICY)[\w.-]*|(pre)?processor_config\.json)$/

/** A model for ONNX Runtime with its data beside it: where transformers.js looks for it, or where a merge into a file wrote it. */
const ONNX_FILE = /^(onnx\/)?[\w.-]+\.onnx([._]data(_\d+)?)?$/

/** Folders in folders; deeper ones are not looked into. */
const DEPTH = 6

/** Paths of all files in a folder but locks and what a killed process had half written. */
async function filesIn(files: Files, folder: string, under = '', depth = DEPTH): Promise<string[]> {
  const found: string[] = []
  for (const name of await files.list(under === '' ? folder : `${folder}/${under}`)) {
    if (isTransient(name)) continue
    const path = under === '' ? name : `${under}/${name}`
    if (!(await files.isDirectory(`${folder}/${path}`))) found.push(path)
    else if (depth > 1) found.push(...(await filesIn(files, folder, path, depth - 1)))
  }
  return found
}

/** What a folder without a finished adapter and without a model holds instead. */
async function refuseUnfinished(files: Files, folder: string, names: readonly string[]): Promise<never> {
  const checkpoints = (await listCheckpoints(files, folder)).map(checkpointName)
  const newest = checkpoints.at(-1)
  if (newest !== undefined)
    throw new InvalidAdapterError(
      `"${folder}" holds no finished adapter, only checkpoints of a run that has not come to its end (${someOf(checkpoints)}). ` +
        `Continue the run with resume (--resume), or publish a checkpoint by its own folder: "${folder}/${newest}".`,
    )
  const holds = names.length === 0 ? 'it is empty' : `it has ${someNames(names.filter((name) => !isTransient(name)))}`
  throw new InvalidAdapterError(
    `"${folder}" holds neither an adapter (${configFile.adapter} and adapter_model.safetensors) nor a model (${configFile.model} and its weights): ${holds}. Name the folder that a run, a merge or an export wrote.`,
  )
}

/** The files that make the adapter or model, its weights last. */
async function partsOf(files: Files, folder: string, listed: ReadonlySet<string>): Promise<[Publishable['kind'], string[]]> {
  const tensors = tensorFiles.adapter.find((name) => listed.has(name))
  if (listed.has(configFile.adapter)) {
    if (tensors === undefined)
      throw new InvalidAdapterError(
        `"${folder}" is no whole adapter: it has ${configFile.adapter} and no ${tensorFiles.adapter[0]}`,
      )
    return ['adapter', [...describingFiles('adapter', listed), tensors]]
  }
  if (tensors !== undefined)
    throw new InvalidAdapterError(`"${folder}" is no whole adapter: it has ${tensors} and no ${configFile.adapter}`)
  const weights = tensorFiles.model.find((name) => listed.has(name))
  const onnx = [...listed].filter((path) => ONNX_FILE.test(path))
  const names = await files.list(folder)
  if (!listed.has(configFile.model) || (weights === undefined && onnx.length === 0)) return refuseUnfinished(files, folder, names)
  const parts = weights === undefined ? [] : [weights]
  if (weights !== undefined && isIndex(weights)) {
    const shards = shardsOf(await files.readText(`${folder}/${weights}`), `${folder}/${weights}`)
    const missing = shards.filter((shard) => !listed.has(shard))
    if (missing.length > 0)
      throw new InvalidModelError(`"${folder}" is no whole model: ${weights} names ${someOf(missing)}, not there`)
    parts.push(...shards)
  }
  return ['model', [...describingFiles('model', listed), ...onnx, ...parts]]
}

/** @throws InvalidOptionError for a pattern that no file fits: a mistyped one would be dropped without a word */
function checkPatterns(patterns: readonly string[], paths: readonly string[], option: string, folder: string): void {
  for (const pattern of patterns)
    if (!paths.some((path) => matches(path, pattern)))
      throw new InvalidOptionError(
        `${option} "${pattern}" fits no file of "${folder}"; patterns are relative to the folder: *.txt, logs/**`,
      )
}

/**
 * Chooses what is published of a folder.
 * @throws InvalidAdapterError, InvalidModelError if it holds no whole adapter and no whole model
 * @throws InvalidOptionError for a pattern that fits nothing, that leaves out what must be there, or a link that leads out
 */
export async function publishable(
  files: Files,
  folder: string,
  { include = [], exclude = [] }: Choice = {},
): Promise<Publishable> {
  if (!(await files.isDirectory(folder)))
    throw new InvalidOptionError(
      `"${folder}" is ${(await files.exists(folder)) ? 'a file' : 'not there'}; name the folder of an adapter or a model`,
    )
  // A folder of another kind may be as large as a disk: what lies in its folders is looked for once it is known.
  const top: string[] = []
  for (const name of await files.list(folder)) if (!(await files.isDirectory(`${folder}/${name}`))) top.push(name)
  if (![configFile.adapter, configFile.model, ...tensorFiles.adapter].some((name) => top.includes(name)))
    await refuseUnfinished(files, folder, await files.list(folder))
  const all = await filesIn(files, folder)
  const [kind, parts] = await partsOf(files, folder, new Set(all))
  checkPatterns(include, all, 'include', folder)
  checkPatterns(exclude, all, 'exclude', folder)
  const asked = all.filter((path) => include.some((pattern) => matches(path, pattern)))
  const left = (path: string): boolean => exclude.some((pattern) => matches(path, pattern))
  const needed = [configFile[kind], ...parts.filter((path) => /\.(safetensors|bin|onnx([._]data\w*)?|index\.json)$/.test(path))]
  const lost = needed.filter(left)
  if (lost.length > 0)
    throw new InvalidOptionError(`exclude leaves out ${someOf(lost)}, without which nobody can load the ${kind}`)
  const paths = [...new Set([...all.filter((path) => BESIDE.test(path)), ...parts, ...asked])].filter((path) => !left(path))
  const homes = await homesOf(files, folder, `${folder}/${configFile[kind]}`)
  const published: PublishedFile[] = []
  for (const path of paths) {
    const outside = await placeOutside(files, homes, `${folder}/${path}`)
    if (outside !== undefined)
      throw new InvalidOptionError(
        `"${folder}/${path}" is a link to "${outside}", outside the folder; put a copy in its place, or leave it out with exclude (--exclude)`,
      )
    published.push({ path, size: await files.size(`${folder}/${path}`) })
  }
  return { kind, files: published }
}
