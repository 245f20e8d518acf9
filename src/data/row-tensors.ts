/** @file Named tensors of single rows, and many of them as the tensors of a batch. */
import { InvalidDataError } from '../errors.js'
import { elementCount, type DType, type HostTensor, type Shape } from '../graph/types.js'
import { IGNORED_LABEL } from '../losses/causal-lm.js'
import type { Batch } from './batch.js'
import { at, takeField, type Row } from './rows.js'

/** One row of an input, without the axis that counts rows. */
export interface RowTensor {
  readonly dtype: DType
  readonly shape: readonly number[]
  readonly values: ArrayLike<number>
  /** What fills it behind the row's positions, if its first axis counts positions. */
  readonly pad?: number
}

/** One example of any task, unpadded. */
export interface FieldsExample {
  /** By the names of the graph's inputs; the same names in every example of a data set. */
  readonly rows: readonly Readonly<Record<string, RowTensor>>[]
  /** Inputs that an example has once, however many rows it takes. */
  readonly once: Readonly<Record<string, RowTensor>>
  /** Positions of its longest row; 1 where there are none. */
  readonly length: number
  /** Positions that are no padding, over its rows; 1 an image. */
  readonly positions: number
  readonly tokens: number
  readonly truncated: boolean
}

/** Stacks tensors of rows along a new first axis, padded to `width` positions. */
function stack(tensors: readonly RowTensor[], width: number): HostTensor {
  const { dtype, shape, pad } = tensors[0]!
  const full = pad === undefined ? shape : [width, ...shape.slice(1)]
  const other = tensors.find((tensor) => tensor.shape.slice(pad === undefined ? 0 : 1).join() !== shape.slice(pad === undefined ? 0 : 1).join()) // prettier-ignore
  if (other !== undefined)
    throw new InvalidDataError(
      `rows of one batch bring fields of shapes [${shape.join(', ')}] and [${other.shape.join(', ')}]; make them of one size, or choose a batch size of 1.`,
    )
  const size = elementCount(full)
  const total = tensors.length * size
  if (dtype === 'int64') {
    const data = new BigInt64Array(total).fill(BigInt(pad ?? 0))
    tensors.forEach(({ values }, r) => {
      for (let i = 0; i < values.length; i++) data[r * size + i] = BigInt(values[i]!)
    })
    return { dtype, shape: [tensors.length, ...full], data }
  }
  const data = dtype === 'float32' ? new Float32Array(total) : dtype === 'int32' ? new Int32Array(total) : new Uint8Array(total)
  data.fill(pad ?? 0)
  tensors.forEach(({ values }, r) => data.set(values, r * size))
  return { dtype, shape: [tensors.length, ...full], data }
}

/** Element types that a field of a row can be fed as. */
export const feedableTypes: readonly DType[] = ['int64', 'int32', 'float32', 'bool', 'uint8']

/** Examples to a batch: every row of every example padded to the longest. */
export function batchOfFields(examples: readonly FieldsExample[]): Batch {
  const rows = examples.flatMap((example) => example.rows)
  const lengths = rows.map(lengthOfRow)
  const width = Math.max(1, ...lengths)
  const names = Object.keys(rows[0] ?? {})
  const feeds: Record<string, HostTensor> = {}
  const padding: Record<string, number> = {}
  for (const name of names) {
    feeds[name] = stack(
      rows.map((row) => row[name]!),
      width,
    )
    const { pad } = rows[0]![name]!
    if (pad !== undefined) padding[name] = pad
  }
  for (const name of Object.keys(examples[0]?.once ?? {}))
    feeds[name] = stack(
      examples.map(({ once }) => once[name]!),
      width,
    )
  const sum = (of: (example: FieldsExample) => number): number => examples.reduce((total, example) => total + of(example), 0)
  return {
    feeds,
    padding,
    lengths,
    tokens: sum((example) => example.tokens),
    positions: sum((example) => example.positions),
    rows: rows.length,
    examples: examples.length,
    truncated: examples.filter((example) => example.truncated).length,
  }
}

/** Positions of a row: the length of whatever has a first axis of them; 1 where nothing has. */
export function lengthOfRow(row: Readonly<Record<string, RowTensor>>): number {
  const positional = Object.values(row).find(({ pad }) => pad !== undefined)
  return positional?.shape[0] ?? 1
}

/**
 * A field of a row as the input of that name takes it: a number, or lists of numbers in lists.
 * @param shape of the input without the axis of rows: numbers must agree, names are free
 * @param positions the name of the axis that counts positions, if the first axis may be it: such a field is padded
 * @throws InvalidDataError naming file, line, field and what does not fit
 */
export function fieldTensor(row: Row, field: string, dtype: DType, shape: Shape, positions?: string): RowTensor {
  const value = takeField(row, field)
  const expected = `a ${shape.length === 0 ? 'number' : `list of numbers of shape [${shape.join(', ')}]`}`
  if (value === undefined || value === null)
    throw new InvalidDataError(`${at(row)}: the model's input "${field}" is missing; expected ${expected}.`)
  const found: number[] = []
  const values: number[] = []
  const integer = dtype !== 'float32'
  const fail = (place: string, what: string): never => {
    throw new InvalidDataError(`${at(row)}: "${field}"${place} ${what}; expected ${expected}.`)
  }
  const walk = (part: unknown, depth: number, place: string): void => {
    if (depth === shape.length) {
      const number = typeof part === 'boolean' && dtype === 'bool' ? Number(part) : part
      if (typeof number !== 'number' || !(integer ? Number.isSafeInteger(number) : Number.isFinite(number)))
        fail(place, `is ${show(part)}, not ${integer ? 'an integer' : 'a number'}`)
      values.push(number as number)
      return
    }
    if (!Array.isArray(part)) return fail(place, `is ${show(part)}, not a list`)
    const dim = shape[depth]!
    found[depth] ??= typeof dim === 'number' ? dim : part.length
    if (part.length !== found[depth]) fail(place, `has ${part.length} entries, not ${found[depth]}`)
    part.forEach((entry, i) => walk(entry, depth + 1, `${place}[${i}]`))
  }
  walk(value, 0, '')
  const padded = positions !== undefined && shape[0] === positions
  return { dtype, shape: found, values, ...(padded && { pad: field === 'labels' ? IGNORED_LABEL : 0 }) }
}

const show = (value: unknown): string =>
  Array.isArray(value) ? 'a list' : typeof value === 'object' && value !== null ? 'an object' : JSON.stringify(value)
