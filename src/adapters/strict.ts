/** @file Strict loading: an adapter's tensors are exactly those that its configuration asks for. */
import { InvalidAdapterError } from '../errors.js'
import { formatShape, isFloat, type HostTensor } from '../graph/types.js'
import type { Part } from './part.js'

/** At most this many names of one kind are listed; the rest is counted. */
const LISTED = 10

function listed(title: string, items: readonly string[]): string[] {
  if (items.length === 0) return []
  const more = items.length > LISTED ? [`    … and ${items.length - LISTED} more`] : []
  return [`  ${title} (${items.length}):`, ...items.slice(0, LISTED).map((item) => `    ${item}`), ...more]
}

/** Index of the first NaN or infinity, or -1, read from the bits: an exponent of ones. */
export function firstNonFinite({ dtype, data }: HostTensor): number {
  if (dtype === 'float16') return (data as Uint16Array).findIndex((bits) => (bits & 0x7c00) === 0x7c00)
  if (dtype === 'bfloat16') return (data as Uint16Array).findIndex((bits) => (bits & 0x7f80) === 0x7f80)
  return isFloat(dtype) ? (data as Float32Array).findIndex((value) => !Number.isFinite(value)) : -1
}

/** What to do, by what is wrong. */
function advice(wrong: Readonly<Record<'missing' | 'unexpected' | 'shapes' | 'others', number>>): string {
  if (wrong.shapes > 0 || (wrong.missing > 0 && wrong.unexpected > 0))
    return 'Use the base model that the adapter was trained on, and for the task that it was trained for.'
  if (wrong.missing > 0) return 'The tensors are not all there: get the adapter again, or save it again where it was trained.'
  if (wrong.unexpected > 0)
    return 'Its adapter_config.json does not ask for these: use the one that was saved with the tensors, and the base model and task that it was trained for.'
  return 'The numbers themselves are no use: get the adapter again, or train it again.'
}

/**
 * Checks an adapter's tensors (by PEFT's keys) against the parts it has.
 * @param source folder or file, for the message
 * @param notes what is known of the model that explains tensors which are not expected, in place of advice
 * @throws InvalidAdapterError naming at once every tensor that is missing, unexpected, of the wrong shape or type, or
 * that holds NaN or infinity
 */
export function checkAdapterTensors(
  parts: readonly Pick<Part, 'tensors'>[],
  tensors: ReadonlyMap<string, HostTensor>,
  source = 'the adapter',
  notes: readonly string[] = [],
): void {
  const expected = new Map<string, readonly number[]>()
  for (const { tensors: needed } of parts) for (const { name, shape } of needed) expected.set(name, shape)
  const missing: string[] = []
  const shapes: string[] = []
  const types: string[] = []
  const poisoned: string[] = []
  for (const [name, shape] of expected) {
    const tensor = tensors.get(name)
    if (tensor === undefined) missing.push(`${name} ${formatShape(shape)}`)
    else if (formatShape(tensor.shape) !== formatShape(shape))
      shapes.push(`${name}: expected ${formatShape(shape)}, found ${formatShape(tensor.shape)}`)
    else if (!isFloat(tensor.dtype)) types.push(`${name}: ${tensor.dtype}`)
    else {
      const at = firstNonFinite(tensor)
      if (at >= 0) poisoned.push(`${name}, element ${at}`)
    }
  }
  const unexpected = [...tensors]
    .filter(([name]) => !expected.has(name))
    .map(([name, { shape }]) => `${name} ${formatShape(shape)}`)
  const problems = [
    ...listed('missing tensors', missing),
    ...listed('unexpected tensors', unexpected),
    ...listed('tensors of the wrong shape', shapes),
    ...listed('tensors that are not floating-point', types),
    ...listed('tensors with NaN or infinity', poisoned),
  ]
  if (problems.length > 0)
    throw new InvalidAdapterError(
      [
        `${source} does not fit the model or its own adapter_config.json:`,
        ...problems,
        ...(unexpected.length > 0 && shapes.length === 0 && notes.length > 0
          ? notes.map((note) => `  ${note}.`)
          : [
              `  ${advice({ missing: missing.length, unexpected: unexpected.length, shapes: shapes.length, others: types.length + poisoned.length })}`,
            ]),
      ].join('\n'),
    )
}
