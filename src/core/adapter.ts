/** @file A LoRA adapter as the user holds it: configuration, matrices, and the model they belong to. */
import { initializeLora } from '../adapters/initialize.js'
import { attachLora, loraAName, loraBName, type AttachedLora, type LoraTarget } from '../adapters/lora.js'
import { completeLoraConfig, type LoraConfig } from '../adapters/lora-config.js'
import { checkAdapterTensors } from '../adapters/strict.js'
import { matchTargets, targetModulesForFile } from '../adapters/targets.js'
import { readAdapterFolder, writeAdapterFolder } from '../formats/peft.js'
import { toFloat32 } from '../formats/safetensors.js'
import type { Graph } from '../graph/graph.js'
import type { HostTensor } from '../graph/types.js'
import { withoutBaseCopies } from './base-copies.js'
import type { Model } from './model.js'
import { Parameters } from './parameters.js'

/** Options of a new adapter: PEFT's `LoraConfig` fields in camelCase, `alpha` and `dropout` for short, and a seed. */
export interface LoraOptions extends Partial<LoraConfig> {
  /** `loraAlpha`. */
  readonly alpha?: number
  /** `loraDropout`. */
  readonly dropout?: number
  /** Seed of the first values of A. */
  readonly seed?: number
}

/** Low-rank matrices for some layers of a model. The model itself never changes. */
export class Adapter {
  readonly parameters: Parameters

  constructor(
    readonly model: Model,
    readonly config: LoraConfig,
    /** The adapted layers with rank, alpha and scale of each. */
    readonly targets: readonly LoraTarget[],
    /** Keys of adapter_config.json that we do not know, kept for writing. */
    private readonly unknownKeys: Readonly<Record<string, unknown>> = {},
  ) {
    this.parameters = new Parameters(
      targets.flatMap(({ module, r }) => [
        { name: loraAName(module.name), shape: [r, module.inFeatures] },
        { name: loraBName(module.name), shape: [module.outFeatures, r] },
      ]),
    )
  }

  /** A and B by PEFT's names: views of the current values, not copies. */
  get tensors(): ReadonlyMap<string, HostTensor> {
    return this.parameters.tensors
  }

  /** The graph with a LoRA branch beside every target; A and B are inputs, in the order of `parameters`. */
  attach(graph: Graph, options: { dropout?: boolean } = {}): AttachedLora {
    const p = this.config.loraDropout
    return attachLora(graph, this.targets, { scaling: 'graph', ...(options.dropout === true && p > 0 && { dropout: p }) })
  }

  /**
   * Writes a PEFT folder: `adapter_config.json` and `adapter_model.safetensors`. Each file appears whole or not at all.
   */
  async save(folder: string): Promise<void> {
    const config = { ...this.config, targetModules: targetModulesForFile(this.model.modules, this.config) }
    await writeAdapterFolder(this.model.environment.files, folder, {
      config,
      tensors: this.tensors,
      unknownKeys: this.unknownKeys,
    })
  }
}

/**
 * A new adapter on a model; it changes nothing until it is trained.
 * @throws InvalidOptionError if a target matches no layer, or a rank is 0 or larger than the matrix
 */
export function addLora(model: Model, options: LoraOptions = {}): Adapter {
  const { alpha, dropout, seed = 0, ...fields } = options
  const config = completeLoraConfig(
    {
      ...fields,
      ...(alpha !== undefined && { loraAlpha: alpha }),
      ...(dropout !== undefined && { loraDropout: dropout }),
      baseModelNameOrPath: fields.baseModelNameOrPath ?? model.id,
      taskType: fields.taskType ?? 'CAUSAL_LM',
    },
    model.defaultTargetModules,
  )
  const adapter = new Adapter(model, config, matchTargets(model.modules, config))
  for (const target of adapter.targets) {
    const { name } = target.module
    initializeLora(
      target,
      config.initLoraWeights,
      seed,
      adapter.parameters.view(loraAName(name)),
      adapter.parameters.view(loraBName(name)),
    )
  }
  return adapter
}

/**
 * Reads a PEFT adapter folder and checks it against the model, strictly.
 * @throws InvalidAdapterError naming every missing, unexpected or wrongly shaped tensor, or a config that changes the
 * maths in a way that is not supported
 */
export async function loadAdapter(model: Model, folder: string): Promise<Adapter> {
  const { config, tensors: stored, unknownKeys } = await readAdapterFolder(model.environment.files, folder)
  const complete = completeLoraConfig(config, model.defaultTargetModules)
  const adapter = new Adapter(model, complete, matchTargets(model.modules, complete), unknownKeys)
  const tensors = await withoutBaseCopies(model, stored, folder)
  checkAdapterTensors(adapter.targets, tensors, folder)
  for (const [name, tensor] of tensors) adapter.parameters.view(name).set(toFloat32(tensor))
  return adapter
}
