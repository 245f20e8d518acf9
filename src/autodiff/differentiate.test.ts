/** @file The engine: accumulation, pruning, refusals; and the conventions where a derivative is not unique. */
import { describe, expect, it } from 'vitest'
import { ShapeError, UnsupportedOpError } from '../errors.js'
import { GraphBuilder } from '../graph/builder.js'
import { tensor } from '../graph/constants.js'
import { Graph } from '../graph/graph.js'
import type { Value } from '../graph/types.js'
import { nodeRuntime } from '../runtime/ort-node.js'
import { gradcheck, type Build, type InputSpec } from '../testing/gradcheck.js'
import { differentiate } from './differentiate.js'
import { noGradient, rule } from './rule.js'

const runtime = nodeRuntime({ threads: 1 })

const check = (inputs: Record<string, InputSpec>, build: Build) => gradcheck(runtime, { name: 'engine', inputs, build })

/** A node of any operator, past the builder's closed list. */
function foreign(graph: Graph, op: string, input: Value, domain = 'test'): Value {
  const y = graph.declare(graph.uniqueName(`${op}_out`), input.dtype, input.shape)
  graph.nodes.push({ op, domain, name: `node_${op}`, inputs: [input.name], outputs: [y.name], attributes: {} })
  return y
}

function newGraph(): { graph: Graph; b: GraphBuilder; x: Value } {
  const graph = new Graph('test')
  return { graph, b: new GraphBuilder(graph), x: graph.addInput('x', 'float32', [2, 3]) }
}

describe('accumulation', () => {
  const x = { shape: [2, 3] }

  it('adds both gradients of x·x', async () => {
    const { error, gradients } = await check({ x: { shape: [1], values: [3] } }, (b, { x }) => b.mul(x!, x!))
    expect(error).toBeLessThan(1e-6)
    expect(gradients['x']).toHaveLength(1)
  })

  it('adds the gradients of a diamond once each', async () => {
    const { error, backwardOps } = await check({ x }, (b, { x }) => {
      const top = b.exp(x!)
      return b.mul(b.sin(top), b.add(top, b.mul(top, top)))
    })
    expect(error).toBeLessThan(2e-6)
    // One visit of the shared top: its single multiplication with eˣ happens after everything below it was added.
    expect(backwardOps.at(-1)).toBe('Mul')
  })

  it('adds the gradients of broadcast and whole uses', async () => {
    const { error } = await check({ x: { shape: [3] }, m: { shape: [2, 3] } }, (b, { x, m }) => b.add(b.mul(m!, x!), b.exp(x!)))
    expect(error).toBeLessThan(1e-6)
  })

  it('differentiates by a value that is the loss itself', async () => {
    const graph = new Graph('test')
    const x = graph.addInput('x', 'float32', [])
    const { graph: full, gradients } = differentiate(graph, x, [x])
    full.outputs = [gradients.get('x')!]
    const session = await runtime.createSession(full)
    const result = await session.run({ x: tensor('float32', [], [5]) })
    expect([...result[gradients.get('x')!.name]!.data]).toEqual([1])
  })
})

describe('pruning', () => {
  it('emits no node for the gradient of a frozen weight', () => {
    const graph = new Graph('test')
    const b = new GraphBuilder(graph)
    const x = graph.addInput('x', 'float32', ['rows', 4])
    const w1 = graph.addInput('w1', 'float32', [4, 8])
    const w2 = graph.addInput('w2', 'float32', [8, 2])
    const loss = b.sumAll(b.gemm(b.relu(b.gemm(x, w1)), w2))
    const gemms = (wrt: Value[]): number => {
      const { graph: full } = differentiate(graph, loss, wrt)
      return full.nodes.slice(graph.nodes.length).filter((n) => n.op === 'Gemm').length
    }
    expect(gemms([w1])).toBe(2) // through the second product, then the weight of the first
    expect(gemms([w2])).toBe(1) // nothing before the second product
    expect(gemms([w1, w2])).toBe(3)
    expect(gemms([x, w1, w2])).toBe(4)
  })

  it('leaves the given graph alone', () => {
    const { graph, b, x } = newGraph()
    const loss = b.sumAll(b.tanh(x))
    const before = graph.nodes.length
    differentiate(graph, loss, [x])
    expect(graph.nodes).toHaveLength(before)
  })

  it('asks for no rule off the path', () => {
    const { graph, b, x } = newGraph()
    const frozen = graph.addInput('frozen', 'float32', [2, 3])
    const loss = b.sumAll(b.mul(x, foreign(graph, 'Mystery', frozen)))
    foreign(graph, 'AfterTheFact', x)
    expect(() => differentiate(graph, loss, [x])).not.toThrow()
  })

  it('stops at steps: their gradient is zero, so nothing behind them is reached', () => {
    const { graph, b, x } = newGraph()
    const loss = b.sumAll(b.mul(b.sign(x), x))
    const { graph: full } = differentiate(graph, loss, [x])
    expect(full.nodes.slice(graph.nodes.length).map((n) => n.op)).not.toContain('Sign')
    expect(() => differentiate(graph, b.sumAll(b.emit('Floor', [x])), [x])).toThrow(/does not depend on "x"/)
  })
})

describe('refusals', () => {
  it('refuses a value the loss does not depend on', () => {
    const { graph, b, x } = newGraph()
    const other = graph.addInput('other', 'float32', [2])
    const loss = b.sumAll(x)
    expect(() => differentiate(graph, loss, [x, other])).toThrow(ShapeError)
    expect(() => differentiate(graph, loss, [x, other])).toThrow('the loss "ReduceSum" does not depend on "other"')
  })

  it('lists all missing rules in one error', () => {
    const { graph, b, x } = newGraph()
    const loss = b.sumAll(foreign(graph, 'Second', foreign(graph, 'First', x, ''), 'acme'))
    expect(() => differentiate(graph, loss, [x])).toThrow(UnsupportedOpError)
    expect(() => differentiate(graph, loss, [x])).toThrow(
      /no gradient rule for 2 node\(s\):\n {2}First "node_First"\n {2}acme\.Second "node_Second"\n.*rules/,
    )
  })

  it('takes the rules it is given, before its own', () => {
    const { graph, b, x } = newGraph()
    const loss = b.sumAll(b.tanh(foreign(graph, 'Twice', x, 'acme')))
    const twice = rule('Twice', ({ b, dy: [g] }) => [b.mul(g!, 2)], { domain: 'acme' })
    expect(differentiate(graph, loss, [x], { rules: [twice] }).gradients.get('x')!.shape).toEqual([2, 3])
    expect(() => differentiate(graph, loss, [x], { rules: [twice, noGradient('Tanh')] })).toThrow(/does not depend on "x"/)
  })

  it('refuses a loss that is no float scalar', () => {
    const { graph, b, x } = newGraph()
    expect(() => differentiate(graph, b.tanh(x), [x])).toThrow(/the loss must be a float scalar; "Tanh" is float32 \[2, 3\]/)
    expect(() => differentiate(graph, b.cast(b.sumAll(x), 'int64'), [x])).toThrow(/is int64 \[\]/)
  })

  it('refuses a rule that returns too many gradients or one of another type', () => {
    const { graph, b, x } = newGraph()
    const loss = b.sumAll(b.tanh(x))
    const greedy = rule('Tanh', ({ dy: [g] }) => [g, g])
    expect(() => differentiate(graph, loss, [x], { rules: [greedy] })).toThrow(/returns 2 gradients for 1 inputs/)
    const wrong = rule('Tanh', ({ b, dy: [g] }) => [b.cast(g!, 'float16')])
    expect(() => differentiate(graph, loss, [x], { rules: [wrong] })).toThrow(/a float16 gradient for float32 "x"/)
  })

  it.each([
    ['Pad', 'mode "reflect"', { mode: { type: 'string', value: 'reflect' } }, [0, 1, 0, 1]],
    ['ScatterND', 'reduction "xor"', { reduction: { type: 'string', value: 'xor' } }, undefined],
  ] as const)('refuses %s with %s', (op, message, attributes, pads) => {
    const { graph, b, x } = newGraph()
    const rest =
      pads === undefined
        ? [b.constant(tensor('int64', [1, 1], [0])), b.constant(tensor('float32', [1, 3], [1, 2, 3]))]
        : [b.int64s(pads)]
    const loss = b.sumAll(b.emit(op, [x, ...rest], attributes))
    expect(() => differentiate(graph, loss, [x])).toThrow(message)
  })

  it('refuses a loss on the statistics of a normalisation', () => {
    const { graph, b, x } = newGraph()
    const scale = graph.addInput('scale', 'float32', [3])
    const mean = b.emitAll('LayerNormalization', [x, scale], {}, { outputs: 3 })[1]!
    expect(() => differentiate(graph, b.sumAll(mean), [x])).toThrow(/its statistics .* pass no gradient/)
  })
})

describe('conventions where the derivative is not unique, as in PyTorch', () => {
  const gradientOf = async (values: readonly number[], build: Build): Promise<readonly number[]> => {
    const graph = new Graph('test')
    const b = new GraphBuilder(graph)
    const x = graph.addInput('x', 'float32', [values.length])
    const y = build(b, { x }) as Value
    const { graph: full, gradients } = differentiate(graph, b.sumAll(y), [x])
    full.outputs = [gradients.get('x')!]
    const session = await runtime.createSession(full)
    const result = await session.run({ x: tensor('float32', [values.length], values) })
    await session.release()
    return Array.from(result[gradients.get('x')!.name]!.data as Float32Array)
  }

  it.each<[string, readonly number[], Build, readonly number[]]>([
    ['Relu: 0 at 0', [-1, 0, 1], (b, { x }) => b.relu(x!), [0, 0, 1]],
    ['Abs: 0 at 0', [-1, 0, 1], (b, { x }) => b.abs(x!), [-1, 0, 1]],
    ['Clip: 1 at both bounds', [-2, -1, 0, 1, 2], (b, { x }) => b.emit('Clip', [x!, b.scalar(-1), b.scalar(1)]), [0, 1, 1, 1, 0]],
    ['Max: halves at a tie', [1, 2, 3], (b, { x }) => b.max(x!, 2), [0, 0.5, 1]],
    ['Min: halves at a tie', [1, 2, 3], (b, { x }) => b.min(x!, 2), [1, 0.5, 0]],
    ['ReduceMax: equal shares', [3, 1, 3, 3], (b, { x }) => b.reduceMax(x!, [0]), [1 / 3, 0, 1 / 3, 1 / 3].map(Math.fround)],
    ['ReduceL2: 0 at the origin', [0, 0], (b, { x }) => b.emit('ReduceL2', [x!]), [0, 0]],
    ['Pow: exponent at base 0', [2, 3], (b, { x }) => b.pow(b.scalar(0), x!), [0, 0]],
    ['Where: nothing leaks from the branch not taken', [0, 4], (b, { x }) => b.where(b.greater(x!, 0), b.mul(x!, x!), 0), [0, 8]],
  ])('%s', async (_name, values, build, expected) => {
    expect(await gradientOf(values, build)).toEqual(expected)
  })
})
