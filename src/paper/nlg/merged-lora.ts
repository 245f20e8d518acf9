/**
 * @file LoRA as gpt2_ft.py trains it: loralib's MergedLinear on `c_attn`, with a branch each for queries and values. In training
 * it is no LoRA of PEFT's form, whose B has numbers where this one's zeros stay.
 */
import { adapterFromFile } from '../../adapter/adapter-from-file.js'
import type { Adapter } from '../../adapter/adapter.js'
import { ParameterVector, type ParameterSpec } from '../../adapter/parameter-vector.js'
import { attachParts } from '../../adapters/attach.js'
import { addBranch } from '../../adapters/branch.js'
import { initializeLora } from '../../adapters/initialize.js'
import type { Attachment, Part, PartTensor } from '../../adapters/part.js'
import { InvalidAdapterError } from '../../errors.js'
import { fromLoralib } from '../../formats/loralib-format.js'
import { toFloat32 } from '../../formats/safetensors.js'
import type { GraphBuilder } from '../../graph/builder.js'
import type { TargetModule } from '../../graph/target-module.js'
import { formatShape, type HostTensor, type Value } from '../../graph/types.js'
import type { FolderModel } from '../../model/folder-model.js'
import type { Trainee } from '../../train/trainee.js'
import { enableLora } from './open-gpt2.js'

/** What the flags say of LoRA. */
export interface MergedLoraOptions {
  /** `--lora_dim`, of each branch. */
  readonly rank: number
  /** `--lora_alpha`, numerator of the scale alpha/rank. */
  readonly alpha: number
  /** `--lora_dropout`: probability of a zero in the input of the branches, which share it. */
  readonly dropout: number
  /** Of the first values. */
  readonly seed: number
}

/** How many branches a layer has. */
const BRANCHES = enableLora.filter(Boolean).length

/** MergedLinear on one layer. */
class MergedLoraPart implements Part {
  readonly module: string
  readonly kind = 'merged'
  /** [branches · rank, in] */
  readonly A: PartTensor
  /** [branches · slice, rank], a slice being the outputs of queries, keys or values. */
  readonly B: PartTensor
  readonly tensors: readonly PartTensor[]
  private readonly slice: number

  constructor(
    readonly target: TargetModule,
    private readonly rank: number,
    private readonly scale: number,
  ) {
    this.module = target.name
    this.slice = target.outFeatures / enableLora.length
    this.A = { name: `${target.name}.lora_A`, shape: [BRANCHES * rank, target.inFeatures], role: 'A' }
    this.B = { name: `${target.name}.lora_B`, shape: [BRANCHES * this.slice, rank], role: 'B' }
    this.tensors = [this.A, this.B]
  }

  attach(at: Attachment): void {
    const { b } = at
    const module = at.module(this.target)
    const [A, B] = [at.input(this.A), this.blockDiagonal(b, at.input(this.B))]
    at.change(module, (x, y) => addBranch(b, module, at.dropout(module, x) ?? x, y, y, A, B, this.scale))
  }

  /** B as one matrix [out, branches · rank]: a block of it for each branch, zeros for what is not adapted. */
  private blockDiagonal(b: GraphBuilder, B: Value): Value {
    const { rank, slice } = this
    const blocks = b.splitEvenly(B, BRANCHES, slice, 0)
    let next = 0
    const rows = enableLora.map((enabled) => {
      if (!enabled) return b.zeros([slice, BRANCHES * rank])
      const at = next++
      const columns = blocks.map((block, i) => (i === at ? block : b.zeros([slice, rank])))
      return b.concat(columns, 1)
    })
    return b.concat(rows, 0)
  }

  deltas(): never {
    throw new InvalidAdapterError(`internal: ${this.module} is merged in PEFT's form`)
  }
}

/** What is trained of a run with LoRA, and its result. */
export interface MergedLora extends Trainee {
  /** By loralib's names in a model of transformers, `transformer.h.0.attn.c_attn.lora_A`. */
  readonly tensors: ReadonlyMap<string, HostTensor>
  /** What is learned so far, as PEFT has it. */
  toAdapter(): Adapter
}

/**
 * LoRA on queries and values, to be trained.
 * @param start where it goes on from; where it is empty, A is Kaiming-uniform (of our own random numbers) and B zero
 * @throws InvalidAdapterError for tensors of other names or shapes
 */
export function mergedLora(model: FolderModel, options: MergedLoraOptions, start: ReadonlyMap<string, HostTensor>): MergedLora {
  const { rank, alpha, dropout, seed } = options
  const targets = [...model.modules.values()].filter(({ name }) => name.endsWith('.attn.c_attn'))
  const parts = targets.map((target) => new MergedLoraPart(target, rank, alpha / rank))
  const specs: readonly ParameterSpec[] = parts.flatMap(({ tensors }) => tensors)
  const parameters = new ParameterVector(specs)
  const values = (tensor: PartTensor): Float32Array => parameters.view(tensor.name)
  if (start.size > 0) fillFrom(parameters, start)
  else
    for (const { target, A, B } of parts)
      initializeLora({ module: target, r: BRANCHES * rank, alpha, scale: alpha / rank }, true, seed, values(A), values(B))
  const toAdapter = (): Adapter => {
    const file = fromLoralib(
      parameters.copy().tensors,
      { alpha, enableLora, baseModel: model.path, taskType: 'CAUSAL_LM' },
      'LoRA',
    )
    return adapterFromFile(model, file, 'LoRA')
  }
  return {
    model,
    parameters,
    tensors: parameters.tensors,
    totalParameters: model.parameterCount + parameters.count,
    build({ training, ...how }) {
      const built = model.build(how)
      const attached = attachParts(built.graph, parts, { scaling: 'graph', ...(training && dropout > 0 && { dropout }) })
      return { graph: attached.graph, hidden: built.hidden, parameters: attached.parameters }
    },
    save: (folder) => toAdapter().save(folder),
    toAdapter,
    fingerprint: JSON.stringify({ specs, scale: alpha / rank, dropout }),
  }
}

function fillFrom(parameters: ParameterVector, start: ReadonlyMap<string, HostTensor>): void {
  for (const { name, shape } of parameters.specs) {
    const tensor = start.get(name)
    if (tensor === undefined || formatShape(tensor.shape) !== formatShape(shape))
      throw new InvalidAdapterError(
        `the checkpoint's "${name}" is ${tensor === undefined ? 'missing' : formatShape(tensor.shape)}, expected ${formatShape(shape)}`,
      )
    parameters.view(name).set(toFloat32(tensor))
  }
  const unknown = [...start.keys()].find((name) => !parameters.tensors.has(name))
  if (unknown !== undefined) throw new InvalidAdapterError(`the checkpoint has "${unknown}", but the model no such layer`)
}
