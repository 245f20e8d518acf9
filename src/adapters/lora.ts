/** @file LoRA (Hu et al., 2021): low-rank branches beside frozen layers. */
import { InvalidAdapterError } from '../errors.js'
import { GraphBuilder } from '../graph/builder.js'
import type { Graph } from '../graph/graph.js'
import type { Module } from '../graph/module.js'
import type { Value } from '../graph/types.js'
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
 * gives the base model. The addition is folded into the second product.
 */
export function attachLora(graph: Graph, targets: readonly LoraTarget[], options: AttachOptions): AttachedLora {
  const result = graph.clone()
  const b = new GraphBuilder(result)
  const parameters: Value[] = []
  const p = options.dropout ?? 0
  const seed = p > 0 ? result.addInput('dropout_seed', 'uint32', [1]) : undefined
  targets.forEach(({ module, scale }, index) => {
    if (module.kind === 'Embedding') throw new InvalidAdapterError(`LoRA on embedding "${module.name}" is not supported; leave it out of target_modules`)
    const rank = `rank_${index}`
    const A = result.addInput(loraAName(module.name), 'float32', [rank, module.inFeatures])
    const B = result.addInput(loraBName(module.name), 'float32', [module.outFeatures, rank])
    parameters.push(A, B)
    b.scope(`lora/${module.name}`, () => {
      const x = result.value(module.input)
      const y = result.value(module.output)
      const dropped = seed === undefined ? x : dropout(b, x, p, seed, index)
      const low = b.gemm(dropped, A, { transB: true })
      const adapted = b.gemm(low, B, { c: y, transB: true, alpha: options.scaling === 'graph' ? scale : 1 })
      result.replaceUses(y, adapted, new Set([result.nodes[result.nodes.length - 1]!]))
      result.modules.set(module.name, { ...module, output: adapted.name })
    })
  })
  result.sort()
  return { graph: result, parameters }
}
