/** @file Symbolic lengths as numbers, once the lengths of the inputs are known. */
import { evaluateDim, namesOf } from '../graph/dim/index.js'
import type { Graph } from '../graph/graph.js'
import { bytesPerElement, type Dim, type Value } from '../graph/types.js'

const PART = /^(.+)\/(\d+)(?:-(\d+))?$/

/** The lengths of a graph's values for one choice of its inputs' lengths; the parts of `planSplit` among them. */
export class BoundDims {
  private readonly known = new Map<string, number>()
  /** In how many parts a length is cut, by its name. */
  private readonly counts = new Map<string, number>()

  /** @param lengths of the names that stand in the inputs' shapes, and of those that only the run tells (`labelled`) */
  constructor(graph: Graph, lengths: Readonly<Record<string, number>>) {
    for (const [name, length] of Object.entries(lengths)) this.known.set(name, length)
    const dims = new Set([...graph.values.values()].flatMap(({ shape }) => shape ?? []))
    for (const name of [...dims].flatMap(namesOf)) {
      const [, whole, first, last] = PART.exec(name) ?? []
      if (whole !== undefined) this.counts.set(whole, Math.max(this.counts.get(whole) ?? 0, Number(last ?? first) + 1))
    }
  }

  /** @throws ShapeError for a name that was not given a length */
  of(dim: Dim): number {
    if (typeof dim === 'number') return dim
    const known = this.known.get(dim)
    if (known !== undefined) return known
    const length = evaluateDim(dim, (name) => this.known.get(name) ?? this.part(name))
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

  /** `a/1` is the second part of `a`, `a/0-1` the first two together. */
  private part(name: string): number | undefined {
    const [, whole, first, last] = PART.exec(name) ?? []
    if (whole === undefined) return undefined
    const total = this.of(whole)
    const count = this.counts.get(whole) ?? 1
    const size = Math.floor(total / count)
    const bound = (part: number): number => (part === count ? total : part * size)
    return bound(Number(last ?? first) + 1) - bound(Number(first))
  }
}
