/** @file Gradient cases of activation functions. */
import type { GraphBuilder } from '../../graph/builder.js'
import { float, int, type Value } from '../../graph/types.js'
import { erf } from '../../testing/erf.js'
import type { GradientCase } from '../../testing/gradcheck.js'

const x = { shape: [2, 5], range: [-2.5, 2.5] } as const
const microsoft = { domain: 'com.microsoft' }

const geluTanh = (b: GraphBuilder, v: Value): Value =>
  b.mul(b.mul(v, 0.5), b.add(1, b.tanh(b.mul(b.add(v, b.mul(b.pow(v, 3), 0.044715)), Math.sqrt(2 / Math.PI)))))

const silu = (v: number, alpha: number): number => v / (1 + Math.exp(-alpha * v))

/** Rotation of the halves of the last axis of [batch, heads, sequence, size] by the angles at the positions. */
const rotate = (b: GraphBuilder, v: Value, positions: Value, cos: Value, sin: Value, interleaved: boolean): Value => {
  const [c, s] = [cos, sin].map((cache) => b.unsqueeze(b.gather(cache, positions), [1])) as [Value, Value] // [batch, 1, sequence, size/2]
  const size = v.shape!.at(-1) as number
  const half = size / 2
  const pick = (offset: number): Value =>
    b.gather(v, b.int64s(Array.from({ length: half }, (_, i) => (interleaved ? 2 * i + offset : i + offset * half))), 3)
  const [u, w] = [pick(0), pick(1)]
  const parts = [b.sub(b.mul(u, c), b.mul(w, s)), b.add(b.mul(w, c), b.mul(u, s))]
  const joined = b.concat(parts, 3)
  const order = Array.from({ length: size }, (_, i) => (i % 2) * half + Math.floor(i / 2))
  return interleaved ? b.gather(joined, b.int64s(order), 3) : joined
}

const rotary = (name: string, interleaved: boolean): GradientCase => ({
  name,
  dims: { batch: 2, sequence: 3 },
  inputs: {
    v: ['batch', 2, 'sequence', 8],
    positions: { shape: ['batch', 'sequence'], dtype: 'int64', values: [0, 1, 2, 3, 4, 1] },
    cos: { shape: [5, 4], differentiate: false },
    sin: { shape: [5, 4], differentiate: false },
  },
  build: (b, { v, positions, cos, sin }) =>
    b.emit('RotaryEmbedding', [v!, positions!, cos!, sin!], { interleaved: int(interleaved ? 1 : 0) }, microsoft),
  reference: (b, { v, positions, cos, sin }) => rotate(b, v!, positions!, cos!, sin!, interleaved),
})

export const activationCases: readonly GradientCase[] = [
  { name: 'Tanh', inputs: { x }, build: (b, { x }) => b.tanh(x!) },
  { name: 'Sigmoid', inputs: { x }, build: (b, { x }) => b.sigmoid(x!) },
  { name: 'Sigmoid of a symbolic shape', dims: { n: 4 }, inputs: { x: ['n', 2] }, build: (b, { x }) => b.sigmoid(x!) },
  { name: 'Relu', inputs: { x }, build: (b, { x }) => b.relu(x!) },
  {
    name: 'Gelu',
    inputs: { x },
    build: (b, { x }) => b.gelu(x!),
    forward: ({ x }) => [x!.map((v) => (v * (1 + erf(v * Math.SQRT1_2))) / 2)],
  },
  { name: 'Gelu by tanh', inputs: { x }, build: (b, { x }) => b.gelu(x!, 'tanh'), reference: (b, { x }) => geluTanh(b, x!) },
  {
    name: 'FastGelu',
    inputs: { x },
    build: (b, { x }) => b.emit('FastGelu', [x!], {}, microsoft),
    reference: (b, { x }) => geluTanh(b, x!),
  },
  {
    name: 'FastGelu with a bias, broadcast',
    inputs: { x, bias: [5] },
    build: (b, { x, bias }) => b.emit('FastGelu', [x!, bias!], {}, microsoft),
    reference: (b, { x, bias }) => geluTanh(b, b.add(x!, bias!)),
  },
  {
    name: 'QuickGelu',
    inputs: { x },
    build: (b, { x }) => b.emit('QuickGelu', [x!], {}, microsoft),
    forward: ({ x }) => [x!.map((v) => silu(v, 1.702))],
  },
  {
    name: 'QuickGelu as SiLU',
    inputs: { x },
    build: (b, { x }) => b.emit('QuickGelu', [x!], { alpha: float(1) }, microsoft),
    forward: ({ x }) => [x!.map((v) => silu(v, 1))],
  },
  {
    name: 'Softplus',
    inputs: { x },
    build: (b, { x }) => b.emit('Softplus', [x!]),
    forward: ({ x }) => [x!.map((v) => Math.log1p(Math.exp(v)))],
  },
  rotary('RotaryEmbedding', false),
  rotary('RotaryEmbedding interleaved', true),
]
