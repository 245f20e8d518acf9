/** @file Inputs of a graph that are to be constants: what decides its `If`s is told, not fed. */
import { InvalidOptionError } from '../errors.js'
import { GraphBuilder } from '../graph/builder.js'
import { tensor } from '../graph/constants.js'
import { integerRange, isPacked } from '../graph/dtypes.js'
import type { Graph } from '../graph/graph.js'
import { elementCount, formatShape, isFloat, type Dim, type DType, type Value } from '../graph/types.js'
import { nearestNames } from '../util/nearest.js'

/** One number for every element, or the elements in row-major order. */
export type InputConstant = number | boolean | readonly (number | boolean)[]

/** Constants by the names of inputs. */
export type InputConstants = Readonly<Record<string, InputConstant>>

/** Whole numbers that an input may be told; undefined for floats, and for types that cannot be. */
const rangeOf = (dtype: DType): readonly [number, number] | undefined =>
  dtype === 'bool' ? [0, 1] : isPacked(dtype) ? undefined : integerRange(dtype)

const described = ({ name, dtype, shape }: Value): string => `"${name}" (${dtype} ${formatShape(shape)})`

/** A number as the input's type holds it. @throws InvalidOptionError if it does not fit */
function numberOf(given: unknown, input: Value): number {
  const value = typeof given === 'boolean' ? Number(given) : given
  const range = rangeOf(input.dtype)
  const fits =
    typeof value === 'number' &&
    Number.isFinite(value) &&
    (range === undefined ? isFloat(input.dtype) : Number.isInteger(value) && value >= range[0] && value <= range[1])
  if (fits) return value
  const expected =
    input.dtype === 'bool' ? 'true or false' : isFloat(input.dtype) ? 'a number' : `a whole number that ${input.dtype} holds`
  throw new InvalidOptionError(
    range === undefined && !isFloat(input.dtype)
      ? `constants: input ${described(input)} cannot be made constant: its element type is not one of numbers`
      : `constants: input ${described(input)} takes ${expected}, got ${JSON.stringify(given) ?? String(given)}`,
  )
}

/**
 * The graph with some inputs turned into constants. A number stands for every element; where a length of the input has a
 * name that other inputs have too, it is as long as theirs, and a vector whose length has any other name has one element.
 * A list holds the elements in row-major order.
 * @throws InvalidOptionError for a name that is no input, and for values that do not fit its type or shape
 */
export function fixInputs(graph: Graph, constants: InputConstants): Graph {
  const names = Object.keys(constants).filter((name) => constants[name] !== undefined)
  if (names.length === 0) return graph
  const result = graph.clone()
  const fixed = names.map((name) => {
    const input = graph.inputs.find((value) => value.name === name)
    if (input !== undefined) return input
    const known = graph.inputs.map((value) => value.name)
    const near = nearestNames(name, known)
    throw new InvalidOptionError(
      `constants: the graph has no input "${name}"; ${near.length > 0 ? `did you mean ${near.join(' or ')}? ` : ''}its inputs are ${known.join(', ') || 'none'}`,
    )
  })
  result.inputs = graph.inputs.filter((input) => !fixed.includes(input))
  const lengths = new Set(result.inputs.flatMap(({ shape }) => shape ?? []))
  const open = fixed.filter((input) => !fixNow(result, input, constants[input.name]!, lengths))
  if (open.length === 0) return result
  // Names of values that are declared later are taken.
  for (const { outputs } of graph.nodes) for (const output of outputs) result.reserved.add(output)
  // In front, where sub-graphs read them too.
  const { nodes } = result
  result.nodes = []
  const b = new GraphBuilder(result)
  for (const input of open) {
    result.values.delete(input.name)
    const value = tensor(input.dtype, [1], [numberOf(constants[input.name], input)])
    b.emit(
      'ConstantOfShape',
      [b.shapeVector(input.shape!)],
      { value: { type: 'tensor', value } },
      { name: input.name, shapes: [input.shape!] },
    )
  }
  result.reserved.clear()
  result.nodes = [...result.nodes, ...nodes]
  return result
}

/** Makes an input an initializer; false where its length is known at the run only. */
function fixNow(graph: Graph, input: Value, given: InputConstant, lengths: ReadonlySet<Dim>): boolean {
  const set = (shape: readonly number[], values: readonly number[]): true => {
    const host = tensor(input.dtype, shape, values)
    graph.initializers.set(input.name, host)
    graph.values.set(input.name, { ...input, shape })
    return true
  }
  const { shape = [] } = input
  if (Array.isArray(given)) {
    const values = (given as readonly unknown[]).map((element) => numberOf(element, input))
    const named = shape.filter((dim) => typeof dim !== 'number')
    const known = elementCount(shape.filter((dim) => typeof dim === 'number'))
    const rest = named.length === 1 && known > 0 ? values.length / known : undefined
    const full = shape.map((dim) => (typeof dim === 'number' ? dim : rest))
    if (full.every((dim) => dim !== undefined && Number.isInteger(dim)) && elementCount(full as number[]) === values.length)
      return set(full as number[], values)
    throw new InvalidOptionError(
      `constants: input ${described(input)} cannot be filled with ${values.length} numbers; give as many as it has elements, or one number for all`,
    )
  }
  const value = numberOf(given, input)
  if (shape.some((dim) => typeof dim === 'string' && lengths.has(dim))) {
    const unknown = shape.find((dim) => typeof dim === 'string' && !lengths.has(dim))
    if (unknown !== undefined) throw unknownLength(input, unknown)
    return false
  }
  const unknown = shape.find((dim) => typeof dim === 'string')
  if (unknown !== undefined && shape.length > 1) throw unknownLength(input, unknown)
  const sizes = shape.map((dim) => (typeof dim === 'number' ? dim : 1))
  return set(sizes, Array<number>(elementCount(sizes)).fill(value))
}

const unknownLength = (input: Value, dim: Dim): InvalidOptionError =>
  new InvalidOptionError(
    `constants: the length "${dim}" of input ${described(input)} is not known, no other input has it; give its elements as a list`,
  )
