/** @file Checkpoints: everything a run needs to continue bit for bit, in a folder that appears whole or not at all. */
import { checkpointName, listCheckpoints } from '../model/output-place.js'
import type { ParameterVector } from '../adapter/parameter-vector.js'
import { InvalidModelError, InvalidOptionError } from '../errors.js'
import { encodeSafetensors, loadTensor, readSafetensorsHeader, toFloat32 } from '../formats/safetensors.js'
import { float32 } from '../graph/constants.js'
import type { HostTensor } from '../graph/types.js'
import type { Files } from '../io/files.js'
import { fingerprintDifference } from './fingerprint-difference.js'
import { initialState, LOWEST_LOSS, type RunState } from './run-state.js'
import type { OptimizerState } from '../optim/flat-optimizer.js'
import { parseJsonObject } from '../util/json.js'

const FORMAT = 2
const STATE_FILE = 'training_state.json'
const TENSOR_FILE = 'training_state.safetensors'
/** What a killed process leaves: a checkpoint that was being written or removed. */
const LEFTOVER = /^\.checkpoint-\d+\.(partial|removed)$/

/** Removes the checkpoints of an earlier run, newest first, so that what a kill leaves is an earlier state of it. */
export async function removeCheckpoints(files: Files, out: string): Promise<void> {
  for (const step of (await listCheckpoints(files, out)).reverse()) await discard(files, out, step)
}

/** Removes what a killed process left half written or half removed. */
export async function removeLeftovers(files: Files, out: string): Promise<void> {
  if (!(await files.isDirectory(out))) return
  for (const name of await files.list(out)) if (LEFTOVER.test(name)) await files.remove(`${out}/${name}`)
}

export interface CheckpointOptions {
  readonly saveModel: (folder: string) => Promise<void>
  /** Number of checkpoints to keep. */
  readonly keep: number
  /** Parameters of the best evaluation, where the run keeps them; the checkpoint of that step is not removed. */
  readonly best?: Float32Array | undefined
}

/**
 * Writes a checkpoint beside its final name and renames it when every file is on disk; then removes old ones.
 *
 * The parameters are stored twice: as the user's adapter (`saveModel`), and beside the moments in one flat file, so
 * that a continuation does not depend on the adapter's format.
 *
 * @throws FileError if the disk is full or the folder not writable; the checkpoints before are then untouched
 */
export async function writeCheckpoint(
  files: Files,
  out: string,
  state: RunState,
  parameters: ParameterVector,
  optimizer: OptimizerState,
  options: CheckpointOptions,
): Promise<string> {
  const path = `${out}/${checkpointName(state.step)}`
  const partial = `${out}/.${checkpointName(state.step)}.partial`
  const n = [parameters.count]
  const tensors = new Map<string, HostTensor>([
    ...Object.entries(optimizer.moments).map(([name, data]) => [name, float32(n, data)] as const),
    ['parameters', float32(n, parameters.data)],
    ...(options.best === undefined ? [] : [['best', float32(n, options.best)] as const]),
  ])
  try {
    await files.remove(partial)
    await files.makeFolder(partial)
    await options.saveModel(partial)
    await files.write(`${partial}/${TENSOR_FILE}`, encodeSafetensors(tensors))
    await files.write(`${partial}/${STATE_FILE}`, `${JSON.stringify({ format: FORMAT, ...state }, null, 2)}\n`)
    if (await files.exists(path)) await discard(files, out, state.step)
    // What a kill left over goes first, or checkpoints of a run that is killed again and again would pile up.
    await discardSurplus(files, out, state, options)
    await files.move(partial, path)
  } catch (error) {
    // A full disk is no fuller for our failure.
    await files.remove(partial).catch(() => undefined)
    throw error
  }
  await discardSurplus(files, out, state, options)
  return path
}

/** Removes the oldest checkpoints beyond those that are kept. */
async function discardSurplus(files: Files, out: string, state: RunState, options: CheckpointOptions): Promise<void> {
  const all = await listCheckpoints(files, out)
  // The best one counts as one of those that are kept, unless only the newest may stay.
  const spared = options.best !== undefined && options.keep > 1 && all.includes(state.bestStep ?? 0) ? state.bestStep : undefined
  const others = all.filter((step) => step !== spared)
  const keep = spared === undefined ? options.keep : options.keep - 1
  for (const step of others.slice(0, Math.max(0, others.length - keep))) await discard(files, out, step)
}

/** Removes a checkpoint by another name first: a kill in between must not leave half of one behind. */
async function discard(files: Files, out: string, step: number): Promise<void> {
  const doomed = `${out}/.${checkpointName(step)}.removed`
  await files.remove(doomed)
  await files.move(`${out}/${checkpointName(step)}`, doomed)
  await files.remove(doomed)
}

export interface LoadedCheckpoint {
  readonly path: string
  readonly state: RunState
  /** Parameters of the best evaluation, if the run kept them. */
  readonly best: Float32Array | undefined
}

/**
 * Reads the newest checkpoint into the parameters and the optimizer; they are untouched if it throws.
 * @returns undefined if the folder holds none
 * @throws InvalidOptionError if the checkpoint is of another run: other data, targets or optimizer
 * @throws InvalidModelError if the checkpoint is incomplete or damaged
 */
export async function loadCheckpoint(
  files: Files,
  out: string,
  fingerprint: string,
  parameters: ParameterVector,
  optimizer: OptimizerState,
): Promise<LoadedCheckpoint | undefined> {
  const newest = (await listCheckpoints(files, out)).pop()
  if (newest === undefined) return undefined
  const path = `${out}/${checkpointName(newest)}`
  for (const name of [STATE_FILE, TENSOR_FILE])
    if (!(await files.exists(`${path}/${name}`)))
      throw new InvalidModelError(
        `checkpoint "${path}" is incomplete: ${name} is missing. Remove the folder to continue from the checkpoint before it.`,
      )
  const state = parseState(await files.readText(`${path}/${STATE_FILE}`), `${path}/${STATE_FILE}`)
  // Of two texts that differ in the order of their entries alone there is none.
  const difference = fingerprintDifference(state.fingerprint, fingerprint)
  if (difference !== '')
    throw new InvalidOptionError(
      `cannot resume from ${path}: it was written with other settings (${difference}). ` +
        'Give the same as before, or another output folder.',
    )
  const { tensors } = await readSafetensorsHeader(files, `${path}/${TENSOR_FILE}`).catch((cause: unknown) => {
    if (!(cause instanceof InvalidModelError)) throw cause
    throw new InvalidModelError(
      `checkpoint "${path}" is damaged: ${TENSOR_FILE} cannot be read. Remove the folder to continue from the checkpoint before it.`,
      { cause },
    )
  })
  const read = async (name: string): Promise<Float32Array> => {
    const tensor = tensors.get(name)
    if (tensor === undefined || tensor.shape.length !== 1 || tensor.shape[0] !== parameters.count)
      throw new InvalidModelError(
        `${path}/${TENSOR_FILE}: tensor "${name}" must have shape [${parameters.count}], got ${tensor === undefined ? 'none' : `[${tensor.shape.join(', ')}]`}`,
      )
    return toFloat32(await loadTensor(files, tensor)).slice()
  }
  const values = await read('parameters')
  const moments: Record<string, Float32Array> = {}
  for (const name of Object.keys(optimizer.moments)) moments[name] = await read(name)
  const best = tensors.has('best') ? await read('best') : undefined
  parameters.data.set(values)
  Object.assign(optimizer, { moments, updates: state.updates })
  return { path, state, best }
}

function parseState(text: string, path: string): RunState {
  const json = parseJsonObject(text, path, InvalidModelError, 'remove the checkpoint to continue from the one before it')
  const { format, ...rest } = json as unknown as RunState & { format?: number }
  // Earlier versions told the best by its loss alone.
  const state: RunState = { ...rest, bestBy: rest.bestBy ?? LOWEST_LOSS, bestMetric: rest.bestMetric ?? rest.bestEvalLoss }
  if (format !== FORMAT)
    throw new InvalidModelError(`${path}: expected a training state of format ${FORMAT}, got ${JSON.stringify(format)}`)
  for (const [key, example] of Object.entries(initialState(''))) {
    const value = state[key as keyof RunState] as unknown
    const fits =
      example === null ? value === null || typeof value === 'number' : typeof value === typeof example && value !== null
    if (!fits)
      throw new InvalidModelError(`${path}: "${key}" is ${JSON.stringify(value) ?? 'missing'}; the training state is damaged`)
  }
  return state
}
