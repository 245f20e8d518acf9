/** @file One pass of a model over a batch, with adapters: its outputs as they are. */
import { InvalidDataError, InvalidOptionError } from '../errors.js'
import { int64 } from '../graph/constants.js'
import type { HostTensor } from '../graph/types.js'
import type { Adapter } from './adapter.js'
import { AdapterSet, modelOf, servingOf } from './adapter-set.js'
import type { Model } from '../model/model.js'
import { sessionsOf, type RunKind } from '../model/session-pool.js'
import type { ValueKind } from '../util/option-kinds.js'
import { checkKeys, type OptionKeys } from '../util/option-keys.js'
import { snapshot } from '../util/snapshot.js'
import { checkArgument, listArgument, recordArgument } from '../util/arguments.js'
import { isRowAdapters, type RowAdapters } from './row-adapters.js'
import { subjectArgument } from './subject-arguments.js'

/** Options of {@link forward} and {@link logits}. */
export interface ForwardOptions {
  /**
   * Of each row an adapter's name in the set, several with their scales, or null for the base model; what is active in the set by
   * default.
   */
  readonly adapters?: readonly RowAdapters[]
}

const adaptersByRow: ValueKind = {
  must: 'be a list of the adapters of each row: a name, a list of names and finite scales, or null for the base model',
  fits: (value) => Array.isArray(value) && value.every(isRowAdapters),
}

const forwardOptionKeys = { adapters: adaptersByRow } satisfies OptionKeys<ForwardOptions>

/** Tensors by name. */
export type Tensors = Readonly<Record<string, HostTensor>>

/** Whole rows, every output. */
const fullRun: RunKind = {
  name: 'full',
  build: (model) => model.build({ mode: 'full' }),
  compile: ({ environment }, graph) => environment.runtime.createSession(graph),
}

/**
 * Runs a model on the inputs of a batch.
 * @param inputs the model's inputs by name; the mask (all ones), positions (0, 1, …) and token types (0) of `input_ids`
 * may be left out
 * @returns the graph's outputs by name, `logits` first where there are any
 * @throws InvalidOptionError for adapters by row without a set, or another number of them than rows; InvalidDataError for
 * missing inputs
 * @example
 * const { logits } = await forward(adapter, { input_ids: int64([1, 3], [1, 2, 3]) })
 */
export async function forward(
  subject: Model | Adapter | AdapterSet,
  inputs: Tensors,
  options: ForwardOptions = {},
): Promise<Record<string, HostTensor>> {
  checkArgument(subject, subjectArgument, 'forward')
  checkArgument(inputs, recordArgument, 'forward', 'the inputs')
  checkKeys(options, forwardOptionKeys, 'forward')
  const { adapters } = options
  const model = modelOf(subject)
  const [first] = Object.values(inputs)
  const rows = first?.shape[0] ?? 0
  if (adapters !== undefined && !(subject instanceof AdapterSet))
    throw new InvalidOptionError('rows can name adapters only with an AdapterSet; put the adapters into one')
  if (adapters !== undefined && adapters.length !== rows)
    throw new InvalidOptionError(
      `${adapters.length} adapters were named for a batch of ${rows} rows; name one, or null, for each row`,
    )
  const serving = adapters === undefined ? servingOf(subject) : (subject as AdapterSet).servingRows(adapters)
  const given: Tensors = { ...defaults(inputs['input_ids']), ...copies(inputs), ...serving.tensors }
  return sessionsOf(model).use(fullRun, serving.parts, 0, ({ session, inputs: names, zeros }) => {
    const feeds: Tensors = { ...zeros, ...given }
    const missing = [...names].filter((name) => feeds[name] === undefined)
    if (missing.length > 0) throw new InvalidDataError(`the model reads ${missing.join(', ')}, which the batch does not have`)
    return session.run(Object.fromEntries([...names].map((name) => [name, feeds[name]!])))
  })
}

/** Tensors as they are now: who makes batches in one buffer fills it anew for the next. */
const copies = (inputs: Tensors): Tensors =>
  Object.fromEntries(Object.entries(inputs).map(([name, tensor]) => [name, { ...tensor, data: tensor.data.slice() }]))

/** What follows from tokens without padding. */
function defaults(ids: HostTensor | undefined): Tensors {
  if (ids === undefined) return {}
  const shape = ids.shape
  const length = shape[1] ?? 0
  const filled = (value: (i: number) => number): HostTensor =>
    int64(
      shape,
      Array.from({ length: ids.data.length }, (_, i) => value(i)),
    )
  return { attention_mask: filled(() => 1), position_ids: filled((i) => i % length), token_type_ids: filled(() => 0) }
}

/**
 * The logits of rows of tokens of any lengths, in one run.
 * @param given token ids; shorter rows are padded at their end, and the padding is not seen
 * @returns for each row: of a language model [length, vocabulary], of token-wise heads [length, labels], else [labels]
 * @example
 * const [first] = await logits(model, [[1, 2, 3]]) // [positions, vocabulary]
 */
export async function logits(
  subject: Model | Adapter | AdapterSet,
  given: readonly (readonly number[])[],
  options: ForwardOptions = {},
): Promise<HostTensor[]> {
  checkArgument(subject, subjectArgument, 'logits')
  checkArgument(given, listArgument, 'logits', 'the rows')
  checkKeys(options, forwardOptionKeys, 'logits')
  const rows = snapshot(given)
  const model = modelOf(subject)
  const length = Math.max(0, ...rows.map((row) => row.length))
  if (rows.length === 0 || rows.some((row) => row.length === 0)) throw new InvalidDataError('each row needs at least one token')
  if (length > model.maxPositions)
    throw new InvalidDataError(`a row has ${length} tokens, but the model has only ${model.maxPositions} positions`)
  const wrong = rows.flat().find((id) => !Number.isInteger(id) || id < 0 || id >= model.vocabularySize)
  if (wrong !== undefined)
    throw new InvalidDataError(`token id ${wrong} is not in the model's vocabulary of ${model.vocabularySize}`)
  const pad = model.padTokenId ?? 0
  const shape = [rows.length, length]
  const inputs = {
    input_ids: int64(
      shape,
      rows.flatMap((row) => [...row, ...new Array<number>(length - row.length).fill(pad)]),
    ),
    attention_mask: int64(
      shape,
      rows.flatMap((row) => Array.from({ length }, (_, i) => (i < row.length ? 1 : 0))),
    ),
  }
  const [output] = Object.values(await forward(subject, inputs, options))
  const { dtype, data, shape: dims } = output!
  const [, ...each] = dims
  const size = data.length / rows.length
  const bySlot = each.length > 1
  return rows.map((row, i) => {
    const width = bySlot ? each.slice(1).reduce((a, b) => a * b, 1) : size
    const values = data.slice(i * size, i * size + (bySlot ? row.length * width : size)) as Float32Array
    return { dtype, shape: bySlot ? [row.length, ...each.slice(1)] : each, data: values }
  })
}
