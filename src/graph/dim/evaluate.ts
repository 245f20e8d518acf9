/** @file Symbolic lengths with some of their names replaced by others, or all of them by numbers. */
import { ShapeError } from '../../errors.js'
import type { Dim } from '../types.js'
import { addDims, dimFunctions, multiplyDims } from './arithmetic.js'
import { callOf, factorsOf, parse } from './polynomial.js'

/** A length built anew, each of its factors from what `factor` makes of it. */
const rebuild = (dim: string, factor: (name: string) => Dim): Dim =>
  [...parse(dim)].reduce<Dim>((sum, [monomial, c]) => addDims(sum, factorsOf(monomial).map(factor).reduce(multiplyDims, c)), 0)

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
    if (call === undefined) return missing(name)
    return dimFunctions[call.name](...call.operands.map((operand) => evaluateDim(operand, lengthOf, missing))) as number
  }
  return rebuild(dim, factor) as number
}

const unnamed = (name: string): never => {
  throw new ShapeError(`the length "${name}" is not known before the run`)
}

/** A length with some of its names replaced, in normal form. */
export function substituteDims(dim: Dim, replacement: (name: string) => Dim | undefined): Dim {
  if (typeof dim === 'number') return dim
  return rebuild(dim, (name) => {
    const call = callOf(name)
    if (call === undefined) return replacement(name) ?? name
    return dimFunctions[call.name](...call.operands.map((operand) => substituteDims(operand, replacement)))
  })
}

/** All names that a length is made of, those inside calls too. */
export function namesOf(dim: Dim): string[] {
  if (typeof dim === 'number') return []
  const names = [...parse(dim).keys()]
    .flatMap(factorsOf)
    .flatMap((factor) => callOf(factor)?.operands.flatMap(namesOf) ?? [factor])
  return [...new Set(names)]
}
