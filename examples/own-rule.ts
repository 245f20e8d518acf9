/**
 * @file A gradient rule of one's own, checked against finite differences, and used to differentiate a graph.
 *
 *     npx tsx examples/own-rule.ts
 */
import { nodeEnvironment } from 'lowrank'
import { differentiate, rule } from 'lowrank/autodiff'
import { float32, Graph, GraphBuilder } from 'lowrank/graph'
import { gradcheck, type GradientCase } from 'lowrank/testing'

const { runtime } = nodeEnvironment({ threads: 1 })
const say = (line: string): boolean => process.stdout.write(`${line}\n`)

/** dσ = σ(x)·(1 − σ(x)) dx. A rule never mentions broadcasting or accumulation: the engine sees to them. */
const sigmoid = rule('Sigmoid', ({ b, y: [y], dy: [g] }) => [b.mul(g!, b.mul(y!, b.sub(1, y!)))])

// Every element of the gradient against central differences in float64.
const check: GradientCase = { name: 'sigmoid', inputs: { x: [2, 3] }, build: (b, { x }) => b.sigmoid(x!) }
const right = await gradcheck(runtime, check, { rules: [sigmoid] })
say(`largest error of the rule: ${right.error.toExponential(1)}`)

const forgotten = rule('Sigmoid', ({ b, y: [y], dy: [g] }) => [b.mul(g!, y!)])
const wrong = await gradcheck(runtime, check, { rules: [forgotten] })
say(`of one that forgets 1 − σ: ${wrong.error.toExponential(1)}`)

// The gradient is ONNX operators like any others, which any runtime computes.
const graph = new Graph('sigmoid')
const x = graph.addInput('x', 'float32', [3])
const b = new GraphBuilder(graph)
const loss = b.sumAll(b.sigmoid(x))
const { graph: backward, gradients } = differentiate(graph, loss, [x], { rules: [sigmoid] })
const gradient = gradients.get('x')!
backward.outputs = [gradient]
const session = await runtime.createSession(backward)
const result = await session.run({ x: float32([3], Float32Array.of(-1, 0, 1)) })
say(`slopes at -1, 0, 1: ${[...(result[gradient.name]!.data as Float32Array)].map((value) => value.toFixed(4)).join(', ')}`)
await session.release()
