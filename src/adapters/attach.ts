/** @file Attaches the parts of an adapter to a graph. */
import { GraphBuilder } from '../graph/builder.js'
import { dropout, DROPOUT_SEED } from '../graph/dropout.js'
import type { Graph } from '../graph/graph.js'
import type { TargetModule } from '../graph/target-module.js'
import { productOfDims } from '../graph/shapes.js'
import type { Value } from '../graph/types.js'
import type { Attachment, Part, PartTensor } from './part.js'

export interface AttachOptions {
  /**
   * Where the scale goes: into the graph (`graph`, one constant per layer) or into the tensors that are fed
   * (`tensors`: those with a scale are multiplied before they are fed, so that one graph serves adapters of any alpha).
   */
  readonly scaling: 'graph' | 'tensors'
  /** Probability of dropping an element of the branch's input; adds the input `dropout_seed` uint32 [1]. */
  readonly dropout?: number
}

export interface AttachedLora {
  readonly graph: Graph
  /** Inputs for the tensors of the parts, in order: A and B have a dynamic rank axis. */
  readonly parameters: readonly Value[]
}

/** The graph with every part in it; their tensors become required inputs. The given graph is not changed. */
export function attachParts(graph: Graph, parts: readonly Part[], options: AttachOptions): AttachedLora {
  const result = graph.clone()
  const b = new GraphBuilder(result)
  const parameters: Value[] = []
  /** Outputs by what replaced them: a layer may read another adapted layer directly. */
  const changed = new Map<string, string>()
  const p = options.dropout ?? 0
  // The model may have dropouts of its own.
  const seed = p > 0 ? (result.values.get(DROPOUT_SEED) ?? result.addInput(DROPOUT_SEED, 'uint32', [1])) : undefined
  parts.forEach((part, index) => {
    const at: Attachment = {
      graph: result,
      b,
      scaling: options.scaling,
      input(tensor: PartTensor) {
        const value = result.addInput(tensor.name, 'float32', tensor.inputShape ?? tensor.shape)
        parameters.push(value)
        return value
      },
      // Targets are matched once, on one graph; another build of the same model has other names between its layers.
      module: (matched) => result.modules.get(matched.name) ?? matched,
      dropout: (module, x) => (seed === undefined ? undefined : droppedInput(b, module, x, p, seed, index)),
      change(module, change) {
        const adapt = (input: string, output: string): string => {
          const x = result.value(changed.get(input) ?? input)
          const y = result.value(output)
          const before = new Set(result.nodes)
          const sum = change(x, y)
          result.replaceUses(y, sum, new Set(result.nodes.filter((node) => !before.has(node))))
          changed.set(output, sum.name)
          return sum.name
        }
        const output = adapt(module.input, module.output)
        const moreUses = module.moreUses?.map((use) => ({ input: use.input, output: adapt(use.input, use.output) }))
        result.modules.set(module.name, { ...module, output, ...(moreUses && { moreUses }) })
      },
    }
    b.scope(`lora/${part.module}`, () => part.attach(at))
  })
  result.sort()
  return { graph: result, parameters }
}

/** Dropout of an input of any rank: to the mask it is a matrix, whatever its axes mean. */
function droppedInput(b: GraphBuilder, module: TargetModule, x: Value, p: number, seed: Value, stream: number): Value {
  const { shape } = x
  if (shape === undefined || (shape.length === 2 && shape[1] === module.inFeatures)) return dropout(b, x, p, seed, stream)
  const others = shape.filter((_, i) => i !== shape.indexOf(module.inFeatures))
  return b.reshape(dropout(b, b.reshape(x, [productOfDims(others), module.inFeatures]), p, seed, stream), shape)
}
