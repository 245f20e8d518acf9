/** @file Symbolic lengths as numbers, once the lengths of the inputs are known. */
import { ShapeError } from '../errors.js'
import type { Graph } from './graph.js'
import { bytesPerElement, type Dim, type Value } from './types.js'

const PART = /^(.+)\/(\d+)(?:-(\d+))?$/

/**
 * The lengths of a graph's values for one choice of its inputs' lengths. Beside names it knows products `a*b`, sums `a+b`
 * and `(2·a+1)`, and the parts of `planParts`: `a/1` is the second part of `a`, `a/0-1` the first two together.
 */
export class BoundDims {
  private readonly known = new Map<string, number>()
  /** In how many parts a length is cut, by its name. */
  private readonly counts = new Map<string, number>()

  /** @param lengths of the names that stand in the inputs' shapes, and of those that only the run tells (`labelled`) */
  constructor(graph: Graph, lengths: Readonly<Record<string, number>>) {
    for (const [name, length] of Object.entries(lengths)) this.known.set(name, length)
    for (const { shape } of graph.values.values())
      for (const dim of shape ?? []) {
        if (typeof dim !== 'string') continue
        for (const name of dim.split(/[*+·()]/)) {
          const [, whole, first, last] = PART.exec(name) ?? []
          if (whole !== undefined) this.counts.set(whole, Math.max(this.counts.get(whole) ?? 0, Number(last ?? first) + 1))
        }
      }
  }

  /** @throws ShapeError for a name that was not given a length */
  of(dim: Dim): number {
    if (typeof dim === 'number') return dim
    const known = this.known.get(dim)
    if (known !== undefined) return known
    const length = this.compute(dim)
    this.known.set(dim, length)
    return length
  }

  /** Number of elements of a value; undefined where not even its rank is known. */
  elements({ shape }: Value): number | undefined {
    return shape?.reduce<number>((size, dim) => size * this.of(dim), 1)
  }

  /** Bytes of a value; undefined where not even its rank is known. */
  bytes(value: Value): number | undefined {
    const elements = this.elements(value)
    return elements === undefined || value.dtype === 'string' ? undefined : Math.ceil(elements * bytesPerElement[value.dtype])
  }

  private compute(dim: string): number {
    if (/^-?\d+$/.test(dim)) return Number(dim)
    for (const [operator, combine] of [
      ['+', (a: number, b: number) => a + b],
      ['*', (a: number, b: number) => a * b],
      ['·', (a: number, b: number) => a * b],
    ] as const) {
      const terms = outside(dim, operator)
      if (terms.length > 1) return terms.map((term) => this.of(term)).reduce(combine)
    }
    if (dim.startsWith('(') && dim.endsWith(')')) return this.of(dim.slice(1, -1))
    const [, whole, first, last] = PART.exec(dim) ?? []
    if (whole === undefined) throw new ShapeError(`the length "${dim}" is not known before the run`)
    const total = this.of(whole)
    const count = this.counts.get(whole) ?? 1
    const size = Math.floor(total / count)
    const bound = (part: number): number => (part === count ? total : part * size)
    return bound(Number(last ?? first) + 1) - bound(Number(first))
  }
}

/** The pieces of a text between separators that stand in no bracket. */
function outside(text: string, separator: string): string[] {
  const pieces = ['']
  let depth = 0
  for (const letter of text) {
    if (letter === '(') depth++
    if (letter === ')') depth--
    if (letter === separator && depth === 0) pieces.push('')
    else pieces[pieces.length - 1] += letter
  }
  return pieces
}
