/** @file The low-rank changes of an adapter, layer by layer, as matrices in float64. */
import { LoraPart } from '../adapters/lora.js'
import { ReplacedWeight } from '../adapters/replaced-weight.js'
import { TrainableTokens } from '../adapters/trainable-tokens.js'
import type { Part, TensorValues } from '../adapters/part.js'
import type { Adapter } from '../adapter/adapter.js'
import { plainParts, plainTensors } from '../adapter/peft-state-dict.js'
import type { TargetModule } from '../graph/target-module.js'
import { matrix, type Matrix } from '../util/linear-algebra/matrix.js'

/** A layer's change ΔW = scale·B·A. */
export interface Branch {
  readonly module: TargetModule
  /** As the file has it. */
  readonly r: number
  readonly scale: number
  /** [r, in], of a convolution [r, in·kernel]. */
  readonly A: Matrix
  /** [out, r] */
  readonly B: Matrix
}

/** What an adapter changes beside its low-rank branches. */
export interface LeftOut {
  /** The layer, or the path of the tensor. */
  readonly module: string
  /** What it is, and why it has no low-rank change to look at. */
  readonly reason: string
}

/** Why a part is no low-rank change of its layer's weight; undefined where it is one. */
function reasonAgainst(part: Part): string | undefined {
  if (part instanceof ReplacedWeight) return 'a tensor that is trained whole'
  if (part instanceof TrainableTokens) return 'rows of an embedding that are trained whole'
  if (!(part instanceof LoraPart)) return `a part of kind "${part.kind}"`
  if (part.magnitude !== undefined) return 'DoRA: the magnitude rescales the whole weight, so its change is of full rank'
  if ((part.target.module.convolution?.groups ?? 1) > 1)
    return 'a grouped convolution, whose branch sees all channels: no change of its weight equals it'
  return undefined
}

function branchOf(part: LoraPart, values: TensorValues): Branch {
  const { module, r, scale } = part.target
  const [A, B] = [values(part.A.name), values(part.B.name)]
  return { module, r, scale, A: matrix(r, A.length / r, A), B: matrix(module.outFeatures, r, B) }
}

/** The branches of an adapter as it is now, in the model's order, and what else it changes. */
export function branchesOf(adapter: Adapter): { readonly branches: readonly Branch[]; readonly left: readonly LeftOut[] } {
  const tensors = plainTensors(adapter.parts, adapter.tensors)
  const values: TensorValues = (name) => tensors.get(name)!.data as Float32Array
  const branches: Branch[] = []
  const left: LeftOut[] = (adapter.carried?.modules ?? []).map((module) => ({ module, reason: 'a module that is not run here' }))
  for (const part of plainParts(adapter.parts)) {
    const reason = reasonAgainst(part)
    if (reason !== undefined || !(part instanceof LoraPart)) {
      // A weight and its bias are two parts of one layer.
      if (left.at(-1)?.module !== part.module || left.at(-1)?.reason !== reason)
        left.push({ module: part.module, reason: reason! })
    } else {
      branches.push(branchOf(part, values))
      if (part.bias !== undefined) left.push({ module: part.module, reason: 'the bias of its branch (lora_bias)' })
    }
  }
  return { branches, left }
}
