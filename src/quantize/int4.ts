/** @file Products with frozen matrices in 4 bits. */
import { int, type Initializer, type Value } from '../graph/types.js'
import { INT4_BLOCK } from './pack.js'
import type { FrozenMatrix, FrozenProduct } from './products.js'
import type { Emitter, EmitterTools } from './rewrite.js'

const microsoft = { domain: 'com.microsoft' }

/**
 * Forward is `MatMulNBits`; backward multiplies by the weight that the codes stand for, widened for that matrix alone and
 * forgotten, so that the gradient is that of the forward pass.
 */
export class Int4Emitter implements Emitter {
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
    const y = b.emit('MatMulNBits', [x, codes, scales], attributes, microsoft)
    return alpha === 1 ? y : b.mul(y, alpha)
  }

  rows(matrix: FrozenMatrix, outputs: Value): Value {
    const attributes = { gather_axis: int(0), quantize_axis: int(1), block_size: int(INT4_BLOCK) }
    const [codes, factors, middle] = this.blocks(matrix)
    return this.tools.b.emit('GatherBlockQuantized', [codes, outputs, factors, middle], attributes, microsoft)
  }

  /** The stored codes under another name, in another shape or element type of the same bytes. */
  private codes(name: string, as: string, view: Partial<Initializer>): Value {
    return this.tools.initializer(`${name}/${as}`, () => ({ ...this.stored(`${name}/codes`), ...view }) as Initializer)
  }

  /** W [out, in], float32. */
  private weight(matrix: FrozenMatrix): Value {
    return this.tools.b.emit('DequantizeLinear', this.blocks(matrix), { axis: int(1), block_size: int(INT4_BLOCK) })
  }

  /** Codes [out, in], scales and zero points [out, in/32] as standard operators take them. */
  private blocks({ name, inFeatures: K, outFeatures: N }: FrozenMatrix): [codes: Value, scales: Value, zeroPoints: Value] {
    const { initializer } = this.tools
    const shape = [N, K / INT4_BLOCK]
    return [
      this.codes(name, 'uint4', { dtype: 'uint4', shape: [N, K] }),
      initializer(`${name}/scales2d`, () => ({ ...this.stored(`${name}/scales`), shape })),
      initializer(`zero_points/${shape.join('x')}`, () => ({
        dtype: 'uint4',
        shape,
        data: new Uint8Array(Math.ceil((N * K) / INT4_BLOCK / 2)).fill(0x88),
      })),
    ]
  }
}
