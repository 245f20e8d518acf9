/** @file LoRA (Hu et al., 2021): low-rank branches beside frozen layers. */
import { GraphBuilder } from '../graph/builder.js'
import type { Graph } from '../graph/graph.js'
import type { Module } from '../graph/module.js'
import { productOfDims } from '../graph/shapes.js'
import type { Value } from '../graph/types.js'
import { addBranch, loraShapes } from './branch.js'
import { dropout } from './dropout.js'

/** A layer and the branch to put beside it. */
export interface LoraTarget {
  readonly module: Module
  readonly r: number
  readonly alpha: number
  /** alpha/r, or alpha/√r with rsLoRA. */
  readonly scale: number
}

/** PEFT's names of the two matrices, which are also the names of the graph's inputs. */
export const loraAName = (module: string): string => `base_model.model.${module}.lora_A.weight`
export const loraBName = (module: string): string => `base_model.model.${module}.lora_B.weight`

export interface AttachOptions {
  /**
   * Where the scale goes: into the graph (`graph`, one constant per layer) or into the tensors that are fed
   * (`tensors`: B is multiplied before it is fed, so that one graph serves adapters of any alpha).
   */
  readonly scaling: 'graph' | 'tensors'
  /** Probability of dropping an element of the branch's input; adds the input `dropout_seed` uint32 [1]. */
  readonly dropout?: number
}

export interface AttachedLora {
  readonly graph: Graph
  /** A and B of every target, in order: required inputs with a dynamic rank axis. */
  readonly parameters: readonly Value[]
}

/**
 * Adds y = W·x + s·B·A·dropout(x) to every target. A [r, in] and B [out, r] become inputs of the graph; a rank of 0
 * gives the base model. Where hidden states are a matrix, the addition is folded into the second product.
 * Convolutions take A [r, in, ...kernel] and B [out, r/groups, 1, ...].
 */
export function attachLora(graph: Graph, targets: readonly LoraTarget[], options: AttachOptions): AttachedLora {
  const result = graph.clone()
  const b = new GraphBuilder(result)
  const parameters: Value[] = []
  /** Outputs by what replaced them: a layer may read another adapted layer directly. */
  const adapted = new Map<string, string>()
  const p = options.dropout ?? 0
  const seed = p > 0 ? result.addInput('dropout_seed', 'uint32', [1]) : undefined
  targets.forEach(({ module: matched, scale }, index) => {
    // Targets are matched once, on one graph; another build of the same model has other names between its layers.
    const module = graph.modules.get(matched.name) ?? matched
    const rank = `rank_${index}`
    const shapes = loraShapes(module, rank)
    const A = result.addInput(loraAName(module.name), 'float32', shapes.A)
    const B = result.addInput(loraBName(module.name), 'float32', shapes.B)
    parameters.push(A, B)
    b.scope(`lora/${module.name}`, () => {
      const adapt = (input: string, output: string): string => {
        const x = result.value(adapted.get(input) ?? input)
        const y = result.value(output)
        const dropped = seed === undefined ? x : droppedInput(b, module, x, p, seed, index)
        const before = new Set(result.nodes)
        const sum = addBranch(b, module, dropped, y, A, B, options.scaling === 'graph' ? scale : 1)
        result.replaceUses(y, sum, new Set(result.nodes.filter((node) => !before.has(node))))
        adapted.set(output, sum.name)
        return sum.name
      }
      const output = adapt(module.input, module.output)
      const moreUses = module.moreUses?.map((use) => ({ input: use.input, output: adapt(use.input, use.output) }))
      result.modules.set(module.name, { ...module, output, ...(moreUses && { moreUses }) })
    })
  })
  result.sort()
  return { graph: result, parameters }
}

/** Dropout of an input of any rank: to the mask it is a matrix, whatever its axes mean. */
function droppedInput(b: GraphBuilder, module: Module, x: Value, p: number, seed: Value, stream: number): Value {
  const { shape } = x
  if (shape === undefined || (shape.length === 2 && shape[1] === module.inFeatures)) return dropout(b, x, p, seed, stream)
  const others = shape.filter((_, i) => i !== shape.indexOf(module.inFeatures))
  return b.reshape(dropout(b, b.reshape(x, [productOfDims(others), module.inFeatures]), p, seed, stream), shape)
}
