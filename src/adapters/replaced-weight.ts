/** @file A tensor of the base that is trained itself: `modules_to_save`, and the biases of `bias`. */
import { InvalidAdapterError } from '../errors.js'
import type { TargetModule } from '../graph/target-module.js'
import type { Node, Value } from '../graph/types.js'
import { transpose } from '../util/transpose.js'
import type { Attachment, Part, PartTensor, TensorValues } from './part.js'

/** Which tensor is replaced, and for whom. */
export interface ReplacedTensor {
  /** Path that the tensor belongs to: `classifier.dense` of `classifier.dense.weight`. */
  readonly module: string
  /** Name of the tensor in the model's graph. */
  readonly weight: string
  /** As PEFT stores it. */
  readonly shape: readonly number[]
  /** PEFT's name in the adapter. */
  readonly name: string
  /** Replaced for this layer alone, because others share the weight (an embedding and its tied head). */
  readonly only?: TargetModule
  /** Output head that keeps the base's weight when this one is merged. */
  readonly keeps?: string
  /** The graph has the matrix the other way round: [in, out]. */
  readonly turned?: boolean
}

export class ReplacedWeight implements Part {
  readonly kind = 'replaced'
  readonly module: string
  readonly tensors: readonly [PartTensor]

  constructor(readonly replaced: ReplacedTensor) {
    const { module, name, shape } = replaced
    this.module = module
    this.tensors = [{ name, shape, role: 'weight' }]
  }

  attach(at: Attachment): void {
    const { graph } = at
    const { weight, only, turned } = this.replaced
    const base = graph.values.get(`${weight}/float32`) ?? graph.values.get(weight)
    if (base === undefined)
      throw new InvalidAdapterError(
        `the graph has no weight "${weight}", which the adapter replaces; is it a model for another task?`,
      )
    const input = at.input(this.tensors[0])
    const used = turned === true ? at.b.transpose(input, [1, 0]) : input
    graph.replaceUses(base, used, only === undefined ? new Set() : this.readersOfOthers(at, only, base))
    for (const [name, module] of graph.modules) {
      if (only !== undefined && name !== only.name) continue
      const [isWeight, isBias] = [module.weight === base.name, module.bias === base.name]
      if (isWeight || isBias)
        graph.modules.set(name, {
          ...module,
          ...(isWeight && { weight: input.name, ...(turned === true && { kind: 'Linear' as const }) }),
          ...(isBias && { bias: input.name }),
        })
    }
  }

  /** The base's numbers, read from the model's weight, in the form of this tensor. */
  fromBase(values: Float32Array): Float32Array {
    const [out, inner] = this.replaced.shape as [number, number]
    return this.replaced.turned === true ? transpose(values, inner, out) : values
  }

  /** Nodes that read the weight for another layer. */
  private readersOfOthers({ graph }: Attachment, only: TargetModule, base: Value): Set<Node> {
    const module = graph.modules.get(only.name) ?? only
    const outputs = new Set([module.output, ...(module.moreUses ?? []).map((use) => use.output)])
    return new Set(
      graph.nodes.filter(({ inputs, outputs: made }) => inputs.includes(base.name) && !made.some((name) => outputs.has(name))),
    )
  }

  deltas(values: TensorValues): ReturnType<Part['deltas']> {
    const { weight, only, module, keeps, turned, shape } = this.replaced
    const own = values(this.tensors[0].name)
    return [
      [
        weight,
        {
          module: only?.name ?? module,
          kind: 'replaced',
          values: turned === true ? transpose(own, shape[0]!, shape[1]!) : own,
          // A head of its own is untied from the embedding that it shares.
          shared: only !== undefined && only.kind !== 'Embedding',
          ...(keeps !== undefined && { keeps }),
        },
      ],
    ]
  }
}
