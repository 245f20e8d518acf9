/** @file Gradient cases of layer normalisation. */
import type { GraphBuilder } from '../../graph/builder.js'
import { float, int, type Shape, type Value } from '../../graph/types.js'
import type { GradientCase } from '../../testing/gradcheck.js'

const dims = { n: 2, m: 3 }
const epsilon = 0.01

const layerNorm = (name: string, axis: number, x: Shape, scale: Shape, bias?: Shape, outputs = 1): GradientCase => ({
  name: `LayerNormalization ${name}`,
  dims,
  inputs: { x, scale, ...(bias && { bias }) },
  build: (b, { x, scale, bias }) =>
    b.emitAll('LayerNormalization', [x!, scale!, bias], { axis: int(axis), epsilon: float(epsilon) }, { outputs })[0]!,
})

const rms = (b: GraphBuilder, x: Value, scale: Value, axes: number[]): Value =>
  b.mul(b.div(x, b.sqrt(b.add(b.reduceMean(b.mul(x, x), axes), epsilon))), scale)

const rmsNorm = (name: string, axis: number, x: Shape, scale: Shape, outputs = 1): GradientCase => ({
  name: `SimplifiedLayerNormalization ${name}`,
  dims,
  inputs: { x, scale },
  build: (b, { x, scale }) =>
    b.emitAll('SimplifiedLayerNormalization', [x!, scale!], { axis: int(axis), epsilon: float(epsilon) }, { outputs })[0]!,
  reference: (b, { x, scale }) => rms(b, x!, scale!, axis === -1 ? [-1] : [1, 2]),
})

export const normalizationCases: readonly GradientCase[] = [
  layerNorm('with a bias', -1, ['n', 'm', 4], [4], [4]),
  layerNorm('without a bias', -1, ['n', 4], [4]),
  layerNorm('over two axes', 1, ['n', 3, 4], [3, 4], [3, 4]),
  layerNorm('with its statistics', -1, ['n', 4], [4], [4], 3),
  {
    name: 'LayerNormalization of frozen activations',
    inputs: { x: { shape: [3, 4], differentiate: false }, scale: { shape: [4], differentiate: false }, bias: [4] },
    build: (b, { x, scale, bias }) => b.layerNormalization(x!, scale!, bias!, epsilon),
  },
  rmsNorm('', -1, ['n', 'm', 4], [4]),
  rmsNorm('over two axes', 1, ['n', 3, 4], [3, 4]),
  rmsNorm('with its statistics', -1, ['n', 4], [4], 2),
]
