/** @file Where the file has a weight: among its initializers, in a Constant node, or behind nodes that only turn it. */
import type { Graph } from '../graph/graph.js'
import type { Initializer, Node } from '../graph/types.js'
import type { BranchPlace } from '../lower/inline-if.js'

/** A constant of the file. */
export interface StoredWeight {
  /** Name of the value that holds it. */
  readonly name: string
  readonly tensor: Initializer
  /** Whether nodes between it and the value asked for turn it round. */
  readonly transposed: boolean
  /** The node, where it is no initializer. */
  readonly constant: Node | undefined
  /** The branch that holds it, if one does. */
  readonly place?: BranchPlace
}

const passing = new Set(['Identity', 'Cast'])

/** A matrix with its axes exchanged. */
const isTurn = ({ op, attributes }: Node): boolean => {
  const perm = attributes['perm']
  return op === 'Transpose' && (perm === undefined || (perm.type === 'ints' && perm.value.join() === '1,0'))
}

/** Finds the constant that a value is. */
export class WeightLocator {
  private readonly producers: ReadonlyMap<string, Node>

  constructor(private readonly graph: Graph) {
    this.producers = graph.producers()
  }

  find(value: string): StoredWeight | undefined {
    let name = value
    let transposed = false
    for (;;) {
      const tensor = this.graph.initializers.get(name)
      if (tensor !== undefined) return { name, tensor, transposed, constant: undefined }
      const node = this.producers.get(name)
      if (node === undefined || node.domain !== '') return undefined
      const held = node.op === 'Constant' ? node.attributes['value'] : undefined
      if (held?.type === 'tensor') return { name, tensor: held.value, transposed, constant: node }
      if (isTurn(node)) transposed = !transposed
      else if (!passing.has(node.op)) return undefined
      name = node.inputs[0]!
    }
  }

  /** Nodes that read a constant, itself or behind nodes that pass it on, and at which of their inputs. */
  readers(weight: string): { readonly node: Node; readonly input: number; readonly transposed: boolean }[] {
    return this.graph.nodes.flatMap((node) => {
      if (node.domain === '' && (passing.has(node.op) || isTurn(node))) return []
      return node.inputs.flatMap((name, input) => {
        const found = name === '' ? undefined : this.find(name)
        return found?.name === weight ? [{ node, input, transposed: found.transposed }] : []
      })
    })
  }
}
