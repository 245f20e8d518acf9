/** @file Checkpoints: everything a run needs to continue bit for bit, in a folder that appears whole or not at all. */
import { InvalidModelError, InvalidOptionError } from '../errors.js'
import { encodeSafetensors, loadTensor, readSafetensorsHeader, toFloat32 } from '../formats/safetensors.js'
import { float32 } from '../graph/constants.js'
import type { HostTensor } from '../graph/types.js'
import type { Files } from '../io/files.js'
import type { Parameters } from '../core/parameters.js'
import type { OptimizerState } from './session.js'

/** Where a run stands, beside the tensors. */
export interface RunState {
  /** Updates done, skipped ones included. */
  readonly step: number
  /** Updates that changed the parameters: the optimizer's clock. */
  readonly updates: number
  /** Where the data goes on. */
  readonly position: { readonly epoch: number; readonly batch: number }
  /** Micro-batches seen, the seed of dropout. */
  readonly microBatches: number
  readonly bestEvalLoss: number | null
  readonly evaluationsSinceBest: number
  readonly skippedInARow: number
  readonly lastLoss: number | null
  readonly lastEvalLoss: number | null
  /** Options and model that must be the same for the continuation to be the same run. */
  readonly fingerprint: string
}

const FORMAT = 1
const STATE_FILE = 'training_state.json'
const TENSOR_FILE = 'training_state.safetensors'
const NAME = /^checkpoint-(\d+)$/

const folderName = (step: number): string => `checkpoint-${step}`

/** Steps of the checkpoints in a folder, oldest first. A folder that was being written has another name. */
export async function listCheckpoints(files: Files, out: string): Promise<number[]> {
  if (!(await files.isDirectory(out))) return []
  const steps = (await files.list(out)).flatMap((name) => NAME.exec(name)?.[1] ?? []).map(Number)
  return steps.sort((a, b) => a - b)
}

/**
 * Writes a checkpoint beside its final name and renames it when every file is on disk; then removes old ones.
 *
 * The parameters are stored twice: as the user's adapter (`saveModel`), and beside the moments in one flat file, so
 * that a continuation does not depend on the adapter's format.
 */
export async function writeCheckpoint(
  files: Files,
  out: string,
  state: RunState,
  parameters: Parameters,
  optimizer: OptimizerState,
  options: { saveModel: (folder: string) => Promise<void>; keep: number },
): Promise<string> {
  const path = `${out}/${folderName(state.step)}`
  const partial = `${out}/.${folderName(state.step)}.partial`
  await files.remove(partial)
  await files.makeFolder(partial)
  await options.saveModel(partial)
  const n = [parameters.count]
  const tensors = new Map<string, HostTensor>([
    ['moment1', float32(n, optimizer.moment1)],
    ['moment2', float32(n, optimizer.moment2)],
    ['parameters', float32(n, parameters.data)],
  ])
  await files.write(`${partial}/${TENSOR_FILE}`, encodeSafetensors(tensors))
  await files.write(`${partial}/${STATE_FILE}`, `${JSON.stringify({ format: FORMAT, ...state }, null, 2)}\n`)
  if (await files.exists(path)) await discard(files, out, state.step)
  await files.move(partial, path)
  const all = await listCheckpoints(files, out)
  for (const step of all.slice(0, Math.max(0, all.length - options.keep))) await discard(files, out, step)
  return path
}

/** Removes a checkpoint by another name first: a kill in between must not leave half of one behind. */
async function discard(files: Files, out: string, step: number): Promise<void> {
  const doomed = `${out}/.${folderName(step)}.removed`
  await files.remove(doomed)
  await files.move(`${out}/${folderName(step)}`, doomed)
  await files.remove(doomed)
}

export interface LoadedCheckpoint {
  readonly path: string
  readonly state: RunState
}

/**
 * Reads the newest checkpoint into the parameters and the optimizer.
 * @returns undefined if the folder holds none
 * @throws InvalidOptionError if the checkpoint is of another run: other data order, targets or optimizer
 */
export async function loadCheckpoint(
  files: Files,
  out: string,
  fingerprint: string,
  parameters: Parameters,
  optimizer: OptimizerState,
): Promise<LoadedCheckpoint | undefined> {
  const newest = (await listCheckpoints(files, out)).pop()
  if (newest === undefined) return undefined
  const path = `${out}/${folderName(newest)}`
  const state = parseState(await files.readText(`${path}/${STATE_FILE}`), `${path}/${STATE_FILE}`)
  if (state.fingerprint !== fingerprint)
    throw new InvalidOptionError(
      `cannot resume from ${path}: it was written with other settings (${difference(state.fingerprint, fingerprint)}). ` +
        'Give the same options as before, or another output folder.',
    )
  const { tensors } = await readSafetensorsHeader(files, `${path}/${TENSOR_FILE}`)
  const read = async (name: string): Promise<Float32Array> => {
    const tensor = tensors.get(name)
    if (tensor === undefined || tensor.shape.length !== 1 || tensor.shape[0] !== parameters.count)
      throw new InvalidModelError(`${path}/${TENSOR_FILE}: tensor "${name}" must have shape [${parameters.count}], got ${tensor === undefined ? 'none' : `[${tensor.shape.join(', ')}]`}`)
    return toFloat32(await loadTensor(files, tensor))
  }
  parameters.data.set(await read('parameters'))
  optimizer.moment1 = (await read('moment1')).slice()
  optimizer.moment2 = (await read('moment2')).slice()
  optimizer.updates = state.updates
  return { path, state }
}

function parseState(text: string, path: string): RunState {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw new InvalidModelError(`${path} is not valid JSON: ${(cause as Error).message}`, { cause })
  }
  const state = json as RunState & { format?: number }
  if (typeof json !== 'object' || json === null || state.format !== FORMAT)
    throw new InvalidModelError(`${path}: expected a training state of format ${FORMAT}, got ${JSON.stringify((json as { format?: number } | null)?.format)}`)
  return state
}

/** The options that differ between two fingerprints, which are JSON objects. */
function difference(before: string, now: string): string {
  try {
    const a = JSON.parse(before) as Record<string, unknown>
    const b = JSON.parse(now) as Record<string, unknown>
    const keys = [...new Set([...Object.keys(a), ...Object.keys(b)])].filter((k) => JSON.stringify(a[k]) !== JSON.stringify(b[k]))
    return keys.map((k) => `${k}: ${JSON.stringify(a[k])} then, ${JSON.stringify(b[k])} now`).join('; ')
  } catch {
    return 'unknown'
  }
}
