/**
 * @file Parts of an adapter for modules that the model's checkpoint has and its graph has not: what sees beside a language
 * model, heads of pretraining. They are kept as they are, stored again with the adapter, and merged into the checkpoint.
 */
import { LoraPart, scaleOf } from '../adapters/lora.js'
import type { LoraConfig } from '../adapters/lora-config.js'
import { ReplacedWeight } from '../adapters/replaced-weight.js'
import type { Part } from '../adapters/part.js'
import { pathOf } from '../adapters/adapter-parts.js'
import { checkAdapterTensors } from '../adapters/strict.js'
import { compilePatterns, firstValue } from '../adapters/targets.js'
import type { WeightDelta } from '../adapters/weight-delta.js'
import { baseTensorName } from '../formats/peft-keys.js'
import { toFloat32 } from '../formats/safetensors.js'
import type { HostTensor } from '../graph/types.js'
import { modulesOfTensors } from './tensor-modules.js'

export class CarriedParts {
  /** Names of the modules that they belong to. */
  readonly modules: readonly string[]
  readonly parts: readonly Part[]

  /**
   * @param tensors by PEFT's keys, in the model's names
   * @param source folder or file, for messages
   * @throws InvalidAdapterError if they do not fit together
   */
  constructor(
    config: LoraConfig,
    readonly tensors: ReadonlyMap<string, HostTensor>,
    source: string,
  ) {
    const { useDora, loraBias, useRslora } = config
    const [ranks, alphas] = [compilePatterns(config.rankPattern), compilePatterns(config.alphaPattern)]
    const branches = [...modulesOfTensors(tensors).values()].map((module) => {
      const r = firstValue(ranks, module.name) ?? config.r
      const alpha = firstValue(alphas, module.name) ?? config.loraAlpha
      return new LoraPart({ module, r, alpha, scale: scaleOf(alpha, r, useRslora) }, { useDora, loraBias })
    })
    const replaced = [...tensors]
      .filter(([key]) => !/\.lora_/.test(key))
      .map(([name, { shape }]) => {
        const weight = baseTensorName(name)
        return new ReplacedWeight({ module: pathOf(weight), weight, shape, name })
      })
    this.parts = [...replaced, ...branches]
    checkAdapterTensors(this.parts, tensors, source)
    this.modules = [...new Set(this.parts.map(({ module }) => module))]
  }

  /** What merging changes, by the names that the checkpoint's tensors have in the model. */
  deltas(): (readonly [weight: string, delta: WeightDelta])[] {
    return this.parts.flatMap((part) => part.deltas((name) => toFloat32(this.tensors.get(name)!)))
  }

  /** The configuration without what it says of these parts alone, for the parts that are run. */
  withoutThem(config: LoraConfig): LoraConfig {
    const isTheirs = (name: string): boolean =>
      this.modules.some((module) => module === name || module.endsWith(`.${name}`) || module.includes(`.${name}.`))
    const modulesToSave = config.modulesToSave?.filter((name) => !isTheirs(name)) ?? null
    return { ...config, modulesToSave: modulesToSave?.length === 0 ? null : modulesToSave }
  }

  /** What a person should know of them. */
  get notice(): string {
    const [first, ...more] = this.modules
    return (
      `the adapter also changes ${first}${more.length === 0 ? '' : ` and ${more.length} more modules`} of the checkpoint, which are not run here: ` +
      'they are kept, stored again with the adapter, and merged into a checkpoint that has them'
    )
  }
}
