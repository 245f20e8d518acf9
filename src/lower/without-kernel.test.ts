/** @file Lowerings of operators without a CPU kernel, against graphs that mean the same. */
import { describe, expect, it } from 'vitest'
import { numbersOf, tensor } from '../graph/constants.js'
import { Graph } from '../graph/graph.js'
import { elementCount, float, int, ints, string, type Attributes, type HostTensor, type Node } from '../graph/types.js'
import { nodeRuntime } from '../runtime/ort-node.js'
import { Random } from '../util/rng.js'
import { lower } from './lower.js'

const runtime = nodeRuntime({ threads: 1 })
const random = new Random(11)

const node = (op: string, inputs: readonly string[], outputs: readonly string[], attributes: Attributes = {}, domain = ''): Node => ({ op, domain, name: `${op}_${outputs[0]}`, inputs, outputs, attributes }) // prettier-ignore
const ms = (op: string, inputs: readonly string[], outputs: readonly string[], attributes: Attributes = {}): Node =>
  node(op, inputs, outputs, attributes, 'com.microsoft')

const perm = (...order: number[]): Attributes => ({ perm: ints(order) })

interface Pair {
  readonly name: string
  readonly inputs: Readonly<Record<string, readonly number[]>>
  readonly fused: readonly Node[]
  /** The same in operators that the runtime has; gives the same outputs. */
  readonly plain: readonly Node[]
  readonly constants?: Readonly<Record<string, readonly number[]>>
}

async function run(pair: Pair, nodes: readonly Node[], feeds: Record<string, HostTensor>): Promise<number[]> {
  const graph = new Graph(pair.name)
  for (const [name, shape] of Object.entries(pair.inputs)) graph.addInput(name, 'float32', shape)
  for (const [name, values] of Object.entries(pair.constants ?? {}))
    graph.addInitializer(name, tensor('int64', [values.length], values))
  graph.nodes.push(...nodes)
  graph.outputs = [{ name: 'y', dtype: 'float32', shape: undefined }]
  const session = await runtime.createSession(lower(graph).graph)
  const results = await session.run(feeds)
  await session.release()
  return numbersOf(results['y'])!
}

const conv: Attributes = { kernel_shape: ints([3, 2]), pads: ints([1, 0, 1, 1]), strides: ints([1, 2]) }
const packed: Attributes = { num_heads: int(2), unidirectional: int(1) }
const pairs: readonly Pair[] = [
  {
    name: 'NhwcConv',
    inputs: { x: [2, 5, 6, 3], w: [4, 3, 3, 2], b: [4] },
    fused: [ms('NhwcConv', ['x', 'w', 'b'], ['y'], conv)],
    plain: [
      node('Transpose', ['x'], ['c'], perm(0, 3, 1, 2)),
      node('Conv', ['c', 'w', 'b'], ['d'], conv),
      node('Transpose', ['d'], ['y'], perm(0, 2, 3, 1)),
    ],
  },
  {
    name: 'NhwcFusedConv with a sum',
    inputs: { x: [1, 4, 4, 2], w: [3, 2, 1, 1], b: [3], z: [1, 4, 4, 3] },
    fused: [ms('NhwcFusedConv', ['x', 'w', 'b', 'z'], ['y'], { activation: string('Relu') })],
    plain: [
      node('Transpose', ['x'], ['c'], perm(0, 3, 1, 2)),
      node('Conv', ['c', 'w', 'b'], ['d']),
      node('Transpose', ['d'], ['e'], perm(0, 2, 3, 1)),
      node('Add', ['e', 'z'], ['f']),
      node('Relu', ['f'], ['y']),
    ],
  },
  {
    name: 'GroupNorm',
    inputs: { x: [2, 3, 2, 4], s: [4], t: [4] },
    fused: [ms('GroupNorm', ['x', 's', 't'], ['y'], { groups: int(2), epsilon: float(1e-3), activation: int(1) })],
    plain: [
      node('Transpose', ['x'], ['c'], perm(0, 3, 1, 2)),
      node('GroupNormalization', ['c', 's', 't'], ['d'], { num_groups: int(2), epsilon: float(1e-3) }),
      node('Transpose', ['d'], ['e'], perm(0, 2, 3, 1)),
      node('Sigmoid', ['e'], ['g']),
      node('Mul', ['e', 'g'], ['y']),
    ],
  },
  {
    name: 'SkipGroupNorm',
    inputs: { x: [2, 3, 2, 4], s: [4], t: [4], k: [2, 4], b: [4] },
    constants: { axes: [1, 2] },
    fused: [
      ms('SkipGroupNorm', ['x', 's', 't', 'k', 'b'], ['n', 'm'], { groups: int(2), activation: int(0) }),
      node('Add', ['n', 'm'], ['y']),
    ],
    plain: [
      node('Unsqueeze', ['k', 'axes'], ['k4']),
      node('Add', ['x', 'k4'], ['xk']),
      node('Add', ['xk', 'b'], ['m']),
      node('Transpose', ['m'], ['c'], perm(0, 3, 1, 2)),
      node('GroupNormalization', ['c', 's', 't'], ['d'], { num_groups: int(2) }),
      node('Transpose', ['d'], ['n'], perm(0, 2, 3, 1)),
      node('Add', ['n', 'm'], ['y']),
    ],
  },
  {
    name: 'BiasSplitGelu',
    inputs: { x: [2, 3, 8], b: [8] },
    fused: [ms('BiasSplitGelu', ['x', 'b'], ['y'])],
    plain: [
      node('Add', ['x', 'b'], ['s']),
      node('Split', ['s'], ['u', 'v'], { axis: int(2), num_outputs: int(2) }),
      node('Gelu', ['v'], ['g']),
      node('Mul', ['u', 'g'], ['y']),
    ],
  },
  {
    name: 'BiasAdd',
    inputs: { x: [2, 3, 4], b: [4], s: [2, 3, 4] },
    fused: [ms('BiasAdd', ['x', 'b', 's'], ['y'])],
    plain: [node('Add', ['x', 'b'], ['u']), node('Add', ['u', 's'], ['y'])],
  },
  {
    name: 'MultiHeadAttention of packed queries, keys and values, with a bias',
    inputs: { x: [2, 3, 2, 3, 4], b: [24] },
    constants: { one: [1, 1, 1], flat: [2, 3, 8] },
    fused: [ms('MultiHeadAttention', ['x', '', '', 'b'], ['y'], packed)],
    plain: [
      node('Split', ['x', 'one'], ['q5', 'k5', 'v5'], { axis: int(3) }),
      ...['q', 'k', 'v'].map((n) => node('Reshape', [`${n}5`, 'flat'], [n])),
      ms('MultiHeadAttention', ['q', 'k', 'v', 'b'], ['y'], packed),
    ],
  },
  {
    name: 'MultiHeadAttention of packed keys and values',
    inputs: { q: [2, 3, 8], x: [2, 5, 2, 2, 4] },
    constants: { one: [1, 1], flat: [2, 5, 8] },
    fused: [ms('MultiHeadAttention', ['q', 'x'], ['y'], { num_heads: int(2) })],
    plain: [
      node('Split', ['x', 'one'], ['k5', 'v5'], { axis: int(3) }),
      ...['k', 'v'].map((n) => node('Reshape', [`${n}5`, 'flat'], [n])),
      ms('MultiHeadAttention', ['q', 'k', 'v'], ['y'], { num_heads: int(2) }),
    ],
  },
  ...(['LSTM', 'GRU', 'RNN'] as const).map((op): Pair => {
    const gates = { LSTM: 4, GRU: 3, RNN: 1 }[op]
    const attributes = { direction: string('bidirectional'), hidden_size: int(2) }
    const outputs = op === 'LSTM' ? ['s', 'h', 'c'] : ['s', 'h']
    const flat = (names: readonly string[]): Node[] => [
      ...names.map((name) => node('Flatten', [name], [`${name}_flat`], { axis: int(0) })),
      node('Concat', names.map((name) => `${name}_flat`), ['y'], { axis: int(1) }), // prettier-ignore
    ]
    const swapped = (name: string): Node => node('Transpose', [name], [`${name}_first`], perm(1, 0, 2))
    return {
      name: `${op} with the batch first`,
      inputs: { x: [3, 4, 2], w: [2, gates * 2, 2], r: [2, gates * 2, 2], b: [2, gates * 4], i: [3, 2, 2], j: [3, 2, 2] },
      fused: [
        node(op, ['x', 'w', 'r', 'b', '', 'i', ...(op === 'LSTM' ? ['j'] : [])], outputs, { ...attributes, layout: int(1) }),
        ...flat(outputs),
      ],
      plain: [
        ...['x', 'i', 'j'].map(swapped),
        node(op, ['x_first', 'w', 'r', 'b', '', 'i_first', ...(op === 'LSTM' ? ['j_first'] : [])], ['t', 'u', 'v'].slice(0, outputs.length), attributes), // prettier-ignore
        node('Transpose', ['t'], ['s'], perm(2, 0, 1, 3)),
        ...outputs.slice(1).map((name, i) => node('Transpose', [['u', 'v'][i]!], [name], perm(1, 0, 2))),
        ...flat(outputs),
      ],
    }
  }),
]

describe('lowering of operators without a kernel', () => {
  it.each(pairs.map((pair) => [pair.name, pair] as const))('%s', async (_, pair) => {
    const feeds = Object.fromEntries(
      Object.entries(pair.inputs).map(([name, shape]) => [
        name,
        tensor(
          'float32',
          shape,
          Float32Array.from({ length: elementCount(shape) }, () => 2 * random.uniform() - 1),
        ),
      ]),
    )
    const [fused, plain] = [await run(pair, pair.fused, feeds), await run(pair, pair.plain, feeds)]
    expect(fused).toHaveLength(plain.length)
    expect(Math.max(...fused.map((v, i) => Math.abs(v - plain[i]!)))).toBeLessThan(1e-5)
  })
})
