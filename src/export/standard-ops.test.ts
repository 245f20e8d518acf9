/** @file Operators of the runtime alone, rewritten in standard ones, against the runtime's own results. */
import { describe, expect, it } from 'vitest'
import { UnsupportedOpError } from '../errors.js'
import { GraphBuilder } from '../graph/builder.js'
import { tensor } from '../graph/constants.js'
import { Graph } from '../graph/graph.js'
import { float, int, type HostTensor, type Value } from '../graph/types.js'
import { nodeRuntime } from '../runtime/ort-node.js'
import { standardOps } from './standard-ops.js'

type Build = (b: GraphBuilder, x: readonly Value[]) => Value

const microsoft = { domain: 'com.microsoft' }
const table = (b: GraphBuilder, f: (x: number) => number): Value =>
  b.constant(
    tensor(
      'float32',
      [6, 2],
      Array.from({ length: 12 }, (_, i) => f(i)),
    ),
  )
const places = (b: GraphBuilder): Value => b.constant(tensor('int64', [2, 3], [0, 1, 2, 5, 3, 4]))

/** Rows of: name, shapes of the inputs, graph. */
const cases: readonly (readonly [string, readonly (readonly number[])[], Build])[] = [
  ['FusedMatMul of matrices', [[3, 4], [5, 4]], (b, [x, y]) => b.matmul(x!, y!, { transB: true, alpha: 0.5 })], // prettier-ignore
  ['FusedMatMul of batches', [[2, 3, 4], [2, 5, 4]], (b, [x, y]) => b.matmul(x!, y!, { transB: true, alpha: 0.3 })], // prettier-ignore
  ['FusedMatMul, both transposed', [[2, 4, 3], [2, 5, 4]], (b, [x, y]) => b.matmul(x!, y!, { transA: true, transB: true })], // prettier-ignore
  ['FusedMatMul, scaled alone', [[2, 4, 3], [3, 5]], (b, [x, y]) => b.matmul(x!, y!, { alpha: -2 })], // prettier-ignore
  ['SimplifiedLayerNormalization', [[2, 3, 8], [8]], (b, [x, w]) => b.rmsNormalization(x!, w!, 1e-3)], // prettier-ignore
  ['RotaryEmbedding', [[2, 2, 3, 4]], (b, [x]) => b.emit('RotaryEmbedding', [x, places(b), table(b, Math.cos), table(b, Math.sin)], {}, microsoft)], // prettier-ignore
  ['RotaryEmbedding of a part', [[2, 2, 3, 7]], (b, [x]) => b.emit('RotaryEmbedding', [x, places(b), table(b, Math.cos), table(b, Math.sin)], { rotary_embedding_dim: int(4), num_heads: int(2) }, microsoft)], // prettier-ignore
  ['QuickGelu', [[7]], (b, [x]) => b.emit('QuickGelu', [b.mul(x!, 4)], { alpha: float(1.702) }, microsoft)],
  ['QuickGelu as SiLU', [[7]], (b, [x]) => b.emit('QuickGelu', [b.mul(x!, 4)], { alpha: float(1) }, microsoft)],
  ['FastGelu', [[2, 7], [7]], (b, [x, bias]) => b.emit('FastGelu', [x, bias], {}, microsoft)], // prettier-ignore
]

function build(shapes: readonly (readonly number[])[], make: Build): Graph {
  const graph = new Graph('standard')
  const b = new GraphBuilder(graph)
  const y = make(b, shapes.map((shape, i) => graph.addInput(`x${i}`, 'float32', shape))) // prettier-ignore
  // Once as an output itself and once inside.
  graph.outputs = [y, b.add(y, 1)]
  return graph
}

async function run(graph: Graph): Promise<HostTensor[]> {
  const feeds = Object.fromEntries(
    graph.inputs.map(({ name, shape }, k) => {
      const count = (shape as number[]).reduce((p, d) => p * d, 1)
      return [
        name,
        tensor(
          'float32',
          shape as number[],
          Array.from({ length: count }, (_, i) => Math.sin(i + 1 + 3 * k)),
        ),
      ]
    }),
  )
  const session = await nodeRuntime({ threads: 1 }).createSession(graph)
  const results = await session.run(feeds)
  await session.release()
  return graph.outputs.map(({ name }) => results[name]!)
}

describe('standardOps', () => {
  it.each(cases)('%s computes the same in standard operators', async (_, shapes, make) => {
    const graph = build(shapes, make)
    const before = [...graph.nodes]
    const lowered = standardOps(graph)
    expect(graph.nodes).toEqual(before)
    expect(lowered.outputs).toEqual(graph.outputs)
    expect(lowered.nodes.every(({ domain, op }) => domain === '' && op !== 'SimplifiedLayerNormalization')).toBe(true)
    expect([...lowered.opsets.keys()]).toEqual([''])
    const [expected, found] = [await run(graph), await run(lowered)]
    expected.forEach(({ shape, data }, k) => {
      expect(found[k]!.shape).toEqual(shape)
      Array.from(data, Number).forEach((value, i) => expect(Number(found[k]!.data[i])).toBeCloseTo(value, 5))
    })
  })

  it('looks angles up once for all heads of all layers', () => {
    const graph = new Graph('rotary')
    const b = new GraphBuilder(graph)
    const [rows, cos, sin] = [places(b), table(b, Math.cos), table(b, Math.sin)]
    const turn = (x: Value): Value => b.emit('RotaryEmbedding', [x, rows, cos, sin], {}, microsoft)
    graph.outputs = [turn(turn(turn(graph.addInput('x', 'float32', [2, 2, 3, 4]))))]
    expect(standardOps(graph).nodes.filter(({ op }) => op === 'Gather')).toHaveLength(2)
  })

  it('names operators that have no standard form', () => {
    const graph = new Graph('quantised')
    graph.outputs = [graph.addInput('x', 'float32', [1])]
    for (const op of ['MatMulNBits', 'DynamicQuantizeMatMul', 'MatMulNBits'])
      graph.nodes.push({ op, domain: 'com.microsoft', name: op, inputs: ['x'], outputs: [`${op}_y`], attributes: {} })
    expect(() => standardOps(graph)).toThrow(UnsupportedOpError)
    expect(() => standardOps(graph)).toThrow(/com\.microsoft\.MatMulNBits, com\.microsoft\.DynamicQuantizeMatMul; export/)
  })
})
