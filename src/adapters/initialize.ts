/** @file First values of A and B (reference: PEFT's `reset_lora_parameters`). */
import { InvalidOptionError } from '../errors.js'
import { Random } from '../util/rng.js'
import type { InitLoraWeights } from './lora-config.js'
import type { LoraTarget } from './lora.js'

/**
 * Fills A [r, in] and B [out, r] of one layer.
 *
 * - `true`: A is Kaiming-uniform with a = √5 (He et al., 2015), that is U(−1/√in, 1/√in); B is 0, so that training
 *   starts at the base model.
 * - `gaussian`: A is N(0, 1/r²); B is 0.
 * - `false`: both Kaiming-uniform, so that the branch is not silent (for tests).
 *
 * Every layer has a random stream of its own: adding or removing a target changes no other layer's numbers.
 */
export function initializeLora(target: LoraTarget, init: InitLoraWeights, seed: number, A: Float32Array, B: Float32Array): void {
  if (typeof init === 'string' && init !== 'gaussian')
    throw new InvalidOptionError(`initialisation "${init}" of new adapters is not supported yet; use true, false or "gaussian"`)
  const { module, r } = target
  const random = Random.derive(seed, 'lora', module.name)
  const uniform = (into: Float32Array, fanIn: number): void => {
    const bound = 1 / Math.sqrt(fanIn)
    for (let i = 0; i < into.length; i++) into[i] = (2 * random.uniform() - 1) * bound
  }
  if (init === 'gaussian') for (let i = 0; i < A.length; i++) A[i] = random.normal() / r
  else uniform(A, module.inFeatures)
  if (init === false) uniform(B, r)
  else B.fill(0)
}
