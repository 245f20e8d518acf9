/** @file Activations against their formulas, with the normal distribution integrated by Simpson's rule. */
import { describe, expect, it } from 'vitest'
import { GraphBuilder } from '../graph/builder.js'
import { float32 } from '../graph/constants.js'
import { Graph } from '../graph/graph.js'
import { nodeRuntime } from '../runtime/ort-node.js'
import { activationNamed } from './activations.js'

/** Φ(x) by Simpson's rule: independent of any erf. */
function normalCdf(x: number): number {
  const steps = 2000
  const h = x / steps
  const density = (t: number): number => Math.exp(-t * t * 0.5) / Math.sqrt(2 * Math.PI)
  let sum = density(0) + density(x)
  for (let i = 1; i < steps; i++) sum += density(i * h) * (i % 2 === 0 ? 2 : 4)
  return 0.5 + (sum * h) / 3
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x))
const geluTanh = (x: number): number => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))

const formulas: Record<string, (x: number) => number> = {
  gelu: (x) => x * normalCdf(x),
  gelu_python: (x) => x * normalCdf(x),
  gelu_new: geluTanh,
  gelu_pytorch_tanh: geluTanh,
  gelu_fast: geluTanh,
  gelu_accurate: geluTanh,
  quick_gelu: (x) => x * sigmoid(1.702 * x),
  silu: (x) => x * sigmoid(x),
  swish: (x) => x * sigmoid(x),
  relu: (x) => Math.max(x, 0),
  relu2: (x) => Math.max(x, 0) ** 2,
  gelu_10: (x) => Math.min(Math.max(x * normalCdf(x), -10), 10),
  gelu_python_tanh: geluTanh,
  relu6: (x) => Math.min(Math.max(x, 0), 6),
  leaky_relu: (x) => (x < 0 ? 0.01 * x : x),
  hardswish: (x) => (x * Math.min(Math.max(x + 3, 0), 6)) / 6,
  laplace: (x) => normalCdf((x - 0.707107) / 0.282095),
  mish: (x) => x * Math.tanh(Math.log1p(Math.exp(x))),
  sqrtsoftplus: (x) => Math.sqrt(Math.log1p(Math.exp(x))),
  sigmoid,
  tanh: Math.tanh,
  linear: (x) => x,
}

describe('activations', () => {
  it.each(Object.entries(formulas))('%s follows its formula', async (name, formula) => {
    const graph = new Graph(name)
    const y = activationNamed(name, 'config.json')(new GraphBuilder(graph), graph.addInput('x', 'float32', ['n']))
    graph.outputs = [y]
    const session = await nodeRuntime({ threads: 1 }).createSession(graph)
    const xs = [-6, -2.5, -1, -0.3, 0, 0.1, 0.7, 1.9, 5, 12]
    const result = (await session.run({ x: float32([xs.length], Float32Array.from(xs)) }))[y.name]!.data as Float32Array
    await session.release()
    xs.forEach((x, i) => expect(Math.abs(result[i]! - formula(x))).toBeLessThan(2e-6 * (1 + x * x)))
  })

  it('refuses a name that it does not know', () => {
    expect(() => activationNamed('toString', 'config.json: "hidden_act"')).toThrow(
      'config.json: "hidden_act": activation "toString" is not supported',
    )
  })
})
