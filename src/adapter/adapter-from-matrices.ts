/** @file An adapter from matrices that were computed, not trained. */
import type { LoraConfig } from '../adapters/lora-config.js'
import { completeLoraConfig } from '../adapters/complete-lora-config.js'
import { embeddingAName, embeddingBName, loraAName, loraBName } from '../adapters/lora.js'
import { exactly, matchTargets } from '../adapters/targets.js'
import { InvalidAdapterError } from '../errors.js'
import type { TargetModule } from '../graph/target-module.js'
import { Adapter } from './adapter.js'
import type { Model } from '../model/model.js'

/** A layer's branch B·A, in which every scale is already. */
export interface LayerMatrices {
  readonly module: TargetModule
  readonly r: number
  readonly A: Float32Array
  readonly B: Float32Array
}

/**
 * An adapter with these branches, every scale 1: alpha is the rank, by patterns where ranks differ, and rsLoRA is off.
 * @param fields what the configuration says beside
 */
export function adapterFromMatrices(model: Model, layers: readonly LayerMatrices[], fields: Partial<LoraConfig> = {}): Adapter {
  const counts = new Map<number, number>()
  for (const { r } of layers) counts.set(r, (counts.get(r) ?? 0) + 1)
  const [usual] = [...counts].reduce((a, b) => (b[1] > a[1] ? b : a))
  const pattern = Object.fromEntries(layers.filter(({ r }) => r !== usual).map(({ module, r }) => [exactly(module.name), r]))
  const config = completeLoraConfig(
    {
      ...fields,
      r: usual,
      loraAlpha: usual,
      rankPattern: pattern,
      alphaPattern: pattern,
      targetModules: layers.map(({ module }) => module.name),
    },
    [],
  )
  const targets = matchTargets(model.modules, config, { anyRank: true })
  const made = new Map(layers.map((layer) => [layer.module.name, layer]))
  const strange = targets.find(({ module, r, scale }) => made.get(module.name)?.r !== r || scale !== 1)
  if (strange !== undefined || targets.length !== layers.length)
    throw new InvalidAdapterError(
      `internal: the configuration made for ${layers.length} layers means ${targets.length}${strange ? `, ${strange.module.name} with rank ${strange.r}` : ''}`,
    )
  const adapter = Adapter.create(model, config, targets)
  for (const { module, A, B } of layers) {
    const embedding = module.kind === 'Embedding'
    adapter.parameters.view(embedding ? embeddingAName(module.name) : loraAName(module.name)).set(A)
    adapter.parameters.view(embedding ? embeddingBName(module.name) : loraBName(module.name)).set(B)
  }
  return adapter
}
