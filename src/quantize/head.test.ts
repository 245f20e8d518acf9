/** @file A language model's head on a quantised base: labels picked from its codes, tables left alone, no rows at all. */
import { describe, expect, it } from 'vitest'
import { testEnvironment } from '../../test/support/environment.js'
import { differentiate } from '../autodiff/differentiate.js'
import { GraphBuilder } from '../graph/builder.js'
import { float32, int64 } from '../graph/constants.js'
import { Graph } from '../graph/graph.js'
import { int, type DType, type HostTensor, type Initializer } from '../graph/types.js'
import { Random } from '../util/rng.js'
import { dequantized, planQuantization, quantizeProducts } from './index.js'
import { packedWhole } from './pack.js'

const { runtime } = testEnvironment()
const [WIDTH, CLASSES] = [32, 96]

const random = new Random(7)
const weight = Float32Array.from({ length: CLASSES * WIDTH }, () => random.normal(0, 0.5))

/** −Σ log-probability of labels, of rows that the table of the head itself embeds; its gradient by what is added to them. */
function graphOf(W: Float32Array, dtype: DType = 'float32'): Graph {
  const graph = new Graph('head')
  const b = new GraphBuilder(graph)
  const ids = graph.addInput('ids', 'int64', ['rows'])
  const at = graph.addInput('at', 'int64', ['rows', 1])
  const x = graph.addInput('x', 'float32', ['rows', WIDTH])
  // The upper half of a float32 is a bfloat16 of nearly the same number.
  const data = dtype === 'float32' ? W : Uint16Array.from(new Uint32Array(W.buffer), (bits) => bits >>> 16)
  const stored = graph.addInitializer('W', { dtype, shape: [CLASSES, WIDTH], data })
  const table = b.cast(stored, 'float32')
  const logits = b.gemm(b.add(b.gather(table, ids), x), table, { transB: true })
  const label = b.emit('GatherElements', [logits, at], { axis: int(1) })
  const loss = b.neg(b.sumAll(b.sub(label, b.emit('ReduceLogSumExp', [logits, b.int64s([-1])]))))
  const { graph: full, gradients } = differentiate(graph, loss, [x])
  full.outputs = [loss, gradients.get('x')!]
  full.prune()
  return full
}

function quantized(graph: Graph, scheme: 'int8' | 'int4'): Graph {
  const plan = planQuantization(graph, scheme, graph.outputs[0]!.name)
  const stored = new Map<string, Initializer>()
  for (const { specs, packer } of plan) {
    const contents = packedWhole(packer(), weight).contents()
    specs.forEach(({ name, dtype, shape }, i) => stored.set(name, { dtype, shape, data: contents[i]! }))
  }
  return quantizeProducts(graph, scheme, plan, (name) => stored.get(name)!)
}

async function run(graph: Graph, count: number): Promise<{ loss: number; gradient: Float32Array }> {
  const draw = new Random(9)
  const integers = (): number[] => Array.from({ length: count }, () => draw.integer(CLASSES))
  const feeds: Record<string, HostTensor> = {
    ids: int64([count], integers()),
    at: int64([count, 1], integers()),
    x: float32(
      [count, WIDTH],
      Float32Array.from({ length: count * WIDTH }, () => draw.normal(0, 0.5)),
    ),
  }
  const session = await runtime.createSession(graph)
  const results = await session.run(feeds)
  await session.release()
  const [loss, gradient] = graph.outputs.map(({ name }) => results[name]!.data)
  return { loss: Number(loss![0]), gradient: gradient as Float32Array }
}

const lookUps = (graph: Graph, op: string, of: string): number =>
  graph.nodes.filter((node) => node.op === op && node.inputs[0] === of).length

describe('the rows of labels', () => {
  it('int4: are those that the codes stand for, and the embedding is the table', async () => {
    const graph = quantized(graphOf(weight), 'int4')
    expect([lookUps(graph, 'GatherBlockQuantized', 'W/uint4'), lookUps(graph, 'Gather', 'W')]).toEqual([1, 1])
    const { loss, gradient } = await run(graph, 12)
    // Embedded as stored, multiplied as the codes say.
    const reference = graphOf(dequantized(weight, 'int4', WIDTH, CLASSES, true)!)
    const table = reference.addInitializer('table', float32([CLASSES, WIDTH], weight))
    const embedding = reference.nodes.findIndex(({ op, inputs }) => op === 'Gather' && inputs[1] === 'ids')
    const node = reference.nodes[embedding]!
    reference.nodes[embedding] = { ...node, inputs: [table.name, 'ids'] }
    const expected = await run(reference, 12)
    expect(Math.abs(loss / expected.loss - 1)).toBeLessThan(0.01)
    const error = Math.hypot(...gradient.map((value, i) => value - expected.gradient[i]!)) / Math.hypot(...expected.gradient)
    expect(error).toBeLessThan(0.02)
  })

  it('int4: are those of the codes where the weight has 16 bits, which are float32 before they would be widened', async () => {
    const graph = quantized(graphOf(weight, 'bfloat16'), 'int4')
    expect([lookUps(graph, 'GatherBlockQuantized', 'W/uint4'), lookUps(graph, 'Gather', 'W')]).toEqual([1, 0])
    const pick = graph.nodes.find(({ op }) => op === 'GatherBlockQuantized')!
    expect(graph.value(pick.outputs[0]!).dtype).toBe('float32')
    const [half, full] = [await run(graph, 12), await run(quantized(graphOf(weight), 'int4'), 12)]
    expect(Math.abs(half.loss / full.loss - 1)).toBeLessThan(0.01)
    const error = Math.hypot(...half.gradient.map((value, i) => value - full.gradient[i]!)) / Math.hypot(...full.gradient)
    expect(error).toBeLessThan(0.02)
  })

  it('int8: are looked up in the weight, in 16 bits before they are widened', () => {
    const graph = quantized(graphOf(weight, 'bfloat16'), 'int8')
    // One for the labels; the embedding reads the widened table, as it does in the model.
    expect(lookUps(graph, 'Gather', 'W')).toBe(1)
    expect(graph.nodes.filter(({ op }) => op === 'MatMulIntegerToFloat')).toHaveLength(2)
  })
})

it.each(['int8', 'int4'] as const)('%s: no rows give a loss of nothing', async (scheme) => {
  const { loss, gradient } = await run(quantized(graphOf(weight), scheme), 0)
  expect(loss + 0).toBe(0)
  expect(gradient).toHaveLength(0)
})
