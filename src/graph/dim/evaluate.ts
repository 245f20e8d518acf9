/** @file A symbolic length as a number, once the lengths of its names are known. */
import { ShapeError } from '../../errors.js'
import type { Dim } from '../types.js'
import { addDims, floorDivideDims, multiplyDims } from './arithmetic.js'
import { callOf, factorsOf, formatCall, parse } from './polynomial.js'

/** Number of elements of a slice of `length` elements: ONNX's rules for bounds beyond the ends, and negative ones. */
export function sliceLength(length: number, start: number, end: number, step: number): number {
  const openEnd = step > 0 ? end >= 2 ** 31 - 1 : end <= -(2 ** 31)
  const clamp = (value: number, low: number, high: number): number => Math.min(Math.max(value, low), high)
  const from = start < 0 ? start + length : start
  const to = end < 0 && !openEnd ? end + length : end
  return step > 0
    ? Math.max(0, Math.ceil((clamp(to, 0, length) - clamp(from, 0, length)) / step))
    : Math.max(0, Math.ceil((clamp(to, -1, length - 1) - clamp(from, 0, length - 1)) / step))
}

const functions: Readonly<Record<string, (...operands: readonly number[]) => number>> = {
  floor: (a, b) => Math.floor(a! / b!),
  quotient: (a, b) => Math.floor(a! / b!),
  min: (a, b) => Math.min(a!, b!),
  max: (a, b) => Math.max(a!, b!),
  scaled: (a, factor) => Math.floor(Math.fround(a! * Math.fround(factor!))),
  slice: (length, start, end, step) => sliceLength(length!, start!, end!, step!),
}

/**
 * The number that a length is.
 * @param lengthOf of a name; it may answer for a call as well, else its operands are asked for
 * @param missing for a name without a length; throws unless given
 * @throws ShapeError
 */
export function evaluateDim(
  dim: Dim,
  lengthOf: (name: string) => number | undefined,
  missing: (name: string) => number = unnamed,
): number {
  if (typeof dim === 'number') return dim
  const factor = (name: string): number => {
    const known = lengthOf(name)
    if (known !== undefined) return known
    const call = callOf(name)
    const compute = call && (Object.hasOwn(functions, call.name) ? functions[call.name] : undefined)
    if (call === undefined || compute === undefined) return missing(name)
    return compute(
      ...call.operands.map((operand) => (isNumber(operand) ? Number(operand) : evaluateDim(operand, lengthOf, missing))),
    )
  }
  return [...parse(dim)].reduce((sum, [monomial, c]) => sum + factorsOf(monomial).reduce((p, name) => p * factor(name), c), 0)
}

const unnamed = (name: string): never => {
  throw new ShapeError(`the length "${name}" is not known before the run`)
}

/** Factors of `scaled` are no whole numbers. */
const isNumber = (text: string): boolean => text !== '' && Number.isFinite(Number(text))

/** A length with some of its names replaced. */
export function substituteDims(dim: Dim, replacement: (name: string) => Dim | undefined): Dim {
  if (typeof dim === 'number') return dim
  const factor = (name: string): Dim => {
    const call = callOf(name)
    if (call === undefined) return replacement(name) ?? name
    const operands = call.operands.map((operand) => (isNumber(operand) ? Number(operand) : substituteDims(operand, replacement)))
    const compute = operands.every((operand) => typeof operand === 'number') ? functions[call.name] : undefined
    if (compute !== undefined) return compute(...(operands as number[]))
    return call.name === 'floor' ? floorDivideDims(operands[0]!, operands[1]!) : formatCall(call.name, operands)
  }
  return [...parse(dim)].reduce<Dim>((sum, [m, c]) => addDims(sum, factorsOf(m).map(factor).reduce<Dim>(multiplyDims, c)), 0)
}

/** All names that a length is made of, those inside calls too. */
export function namesOf(dim: Dim): string[] {
  if (typeof dim === 'number') return []
  const names = [...parse(dim).keys()].flatMap(factorsOf).flatMap((factor) => {
    const call = callOf(factor)
    return call === undefined ? [factor] : call.operands.flatMap((operand) => (isNumber(operand) ? [] : namesOf(operand)))
  })
  return [...new Set(names)]
}
