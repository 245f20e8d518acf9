/** @file The layers that an adapter's own tensors tell of, where no model is at hand that has them. */
import { embeddingBName, loraBName } from '../adapters/lora.js'
import type { TargetModule } from '../graph/target-module.js'
import type { HostTensor } from '../graph/types.js'

/** By name: A is [r, in], with a kernel for a convolution; B is [out, r]. Matrices without a fitting partner tell of nothing. */
export function modulesOfTensors(tensors: ReadonlyMap<string, HostTensor>): Map<string, TargetModule> {
  const modules = new Map<string, TargetModule>()
  for (const [key, { shape }] of tensors) {
    const [, name, embedding] = /^base_model\.model\.(.+)\.lora_(embedding_A|A\.weight)$/.exec(key) ?? []
    if (name === undefined) continue
    const isEmbedding = embedding === 'embedding_A'
    const B = tensors.get(isEmbedding ? embeddingBName(name) : loraBName(name))
    const [, inFeatures, ...kernel] = shape
    if (inFeatures === undefined || B === undefined || B.shape.length !== shape.length) continue
    const kind = isEmbedding ? 'Embedding' : (['Linear', 'Conv1d', 'Conv2d', 'Conv3d'] as const)[kernel.length]
    if (kind === undefined) continue
    const weights = { weight: `${name}.weight`, bias: `${name}.bias`, input: '', output: '', isOutputHead: false }
    const convolution = kernel.length > 0 && {
      convolution: { kernel, groups: (shape[0] ?? 1) / (B.shape[1] ?? 1), attributes: {} },
    }
    modules.set(name, { name, kind, inFeatures, outFeatures: B.shape[0]!, ...weights, ...convolution })
  }
  return modules
}
