/**
 * @file Initialisations that take A and B out of the weight itself: PiSSA (Meng et al., 2024) and OLoRA (Büyükakyüz, 2024);
 * and the orthogonal one, which takes them out of one random matrix.
 *
 * PEFT subtracts s·B·A from the base weight. Here the base never changes: the branch computes s·(B·A − B₀·A₀), with the
 * first values as constants, and is saved as a plain adapter of twice the rank: [A; A₀] and [B, −B₀].
 */
import { InvalidOptionError } from '../errors.js'
import { firstColumns, matrix, product, transposed, type Matrix } from '../util/linear-algebra/matrix.js'
import { qr } from '../util/linear-algebra/qr.js'
import { svd, svdLowRank } from '../util/linear-algebra/svd.js'
import { Random } from '../util/rng.js'
import type { LoraTarget } from './lora.js'
import type { InitLoraWeights } from './lora-config.js'

const NITER = /^pissa_niter_(\d+)$/

/** Whether the first values are a part of the base weight, to be subtracted from it. */
export const startsFromWeight = (init: InitLoraWeights): init is string =>
  init === 'olora' || init === 'pissa' || (typeof init === 'string' && NITER.test(init))

/**
 * Fills A [r, in] and B [out, r]:
 *
 * - `pissa`: W = U·S·Vᵀ gives B = U_r·√(S_r/s) and A = √(S_r/s)·V_rᵀ; `pissa_niter_N` by a random projection
 * - `olora`: W = Q·R gives B = Q_r and A = R_r, of W as [out, in]
 */
export function startFromWeight(
  target: LoraTarget,
  init: string,
  seed: number,
  weight: () => Float32Array,
  A: Float32Array,
  B: Float32Array,
): void {
  const { module, r, scale } = target
  const { name, kind, inFeatures, outFeatures } = module
  const stored = kind === 'Linear' ? matrix(outFeatures, inFeatures, weight()) : matrix(inFeatures, outFeatures, weight())
  const W = kind === 'Linear' ? stored : transposed(stored)
  if (init === 'olora') {
    const { Q, R } = qr(W)
    B.set(firstColumns(Q, r).data)
    A.set(R.data.subarray(0, r * inFeatures))
    return
  }
  if (scale <= 0) throw new InvalidOptionError(`"${init}" needs a scale above 0 for ${name}, got ${scale}`)
  const rounds = NITER.exec(init)?.[1]
  const { U, S, V } = rounds === undefined ? svd(W) : svdLowRank(W, r, Number(rounds), Random.derive(seed, 'pissa', name))
  const roots = Array.from(S.subarray(0, r), (s) => Math.sqrt(s / scale))
  B.set(firstColumns(U, r).data.map((value, i) => value * roots[i % r]!))
  A.set(transposed(firstColumns(V, r)).data.map((value, i) => value * roots[Math.floor(i / inFeatures)]!))
}

/** A [r, in] and B [out, r] whose product is 0 though neither is: from alternate rows of one orthogonal matrix. */
export function startOrthogonal(target: LoraTarget, seed: number, A: Float32Array, B: Float32Array): void {
  const { module, r } = target
  if (r % 2 !== 0) throw new InvalidOptionError(`initialisation "orthogonal" needs an even rank, ${module.name} has ${r}`)
  const random = Random.derive(seed, 'lora', module.name)
  const normal = (rows: number, columns: number): Matrix =>
    matrix(
      rows,
      columns,
      Array.from({ length: rows * columns }, () => random.normal()),
    )
  const { Q } = qr(normal(r, r))
  const half = r / 2
  const alternate = (first: number): Matrix =>
    matrix(
      half,
      r,
      Array.from({ length: half }, (_, i) => Array.from(Q.data.subarray((2 * i + first) * r, (2 * i + first + 1) * r))).flat(),
    )
  A.set(transposed(product(normal(module.inFeatures, half), alternate(0))).data.map((v) => v / 10))
  B.set(product(normal(module.outFeatures, half), alternate(1)).data.map((v) => v / 10))
}
