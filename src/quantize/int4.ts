/** @file Products with frozen matrices in 4 bits. */
import { int, type Initializer, type Value } from '../graph/types.js'
import { INT4_BLOCK } from './pack.js'
import type { FrozenMatrix, FrozenProduct } from './products.js'
import type { Emitter, EmitterTools } from './rewrite.js'

/**
 * Forward is `MatMulNBits`; backward multiplies by the weight that the codes stand for, widened for that matrix alone and
 * forgotten, so that the gradient is that of the forward pass.
 */
export class Int4Emitter implements Emitter {
  /** Widened weights, for the chunks of a loss read one matrix several times. */
  private readonly widened = new Map<string, Value>()

  constructor(
    private readonly tools: EmitterTools,
    private readonly stored: (name: string) => Initializer,
  ) {}

  product(matrix: FrozenMatrix, { x, alpha, forward }: FrozenProduct): Value {
    const { b } = this.tools
    if (!forward) return b.matmul(x, this.weight(matrix), { alpha })
    const { name, inFeatures: K, outFeatures: N } = matrix
    const codes = this.codes(name, 'codes', { shape: [N, K / INT4_BLOCK, INT4_BLOCK / 2] })
    const scales = this.tools.initializer(`${name}/scales`, () => this.stored(`${name}/scales`))
    const attributes = { K: int(K), N: int(N), bits: int(4), block_size: int(INT4_BLOCK), accuracy_level: int(4) }
    const y = b.emit('MatMulNBits', [x, codes, scales], attributes, { domain: 'com.microsoft' })
    return alpha === 1 ? y : b.mul(y, alpha)
  }

  rows(matrix: FrozenMatrix, outputs: Value): Value {
    return this.tools.b.gather(this.weight(matrix), outputs, 0)
  }

  /** The stored codes under another name, in another shape or element type of the same bytes. */
  private codes(name: string, as: string, view: Partial<Initializer>): Value {
    return this.tools.initializer(`${name}/${as}`, () => ({ ...this.stored(`${name}/codes`), ...view }) as Initializer)
  }

  /** W [out, in], float32. */
  private weight({ name, inFeatures: K, outFeatures: N }: FrozenMatrix): Value {
    const known = this.widened.get(name)
    if (known !== undefined) return known
    const { b, initializer } = this.tools
    const blocks = K / INT4_BLOCK
    const codes = this.codes(name, 'uint4', { dtype: 'uint4', shape: [N, K] })
    const factors = initializer(`${name}/scales2d`, () => ({ ...this.stored(`${name}/scales`), shape: [N, blocks] }))
    const middle = initializer(`zero_points/${N}x${blocks}`, () => ({
      dtype: 'uint4',
      shape: [N, blocks],
      data: new Uint8Array(Math.ceil((N * blocks) / 2)).fill(0x88),
    }))
    const W = b.emit('DequantizeLinear', [codes, factors, middle], { axis: int(1), block_size: int(INT4_BLOCK) })
    this.widened.set(name, W)
    return W
  }
}
