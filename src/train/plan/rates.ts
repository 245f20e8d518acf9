/** @file How fast this machine is, measured in a third of a second: what predictions of time rest on. */
import type { Environment } from '../../core/environment.js'
import { float32 } from '../../graph/constants.js'
import { GraphBuilder } from '../../graph/builder.js'
import { Graph } from '../../graph/graph.js'
import { int, type HostTensor } from '../../graph/types.js'
import type { ProductKind, Work } from './work.js'

export interface MachineRates {
  /** Operations a second of a product with a frozen matrix, by kind; only of the kinds that were asked for. */
  readonly products: Readonly<Partial<Record<ProductKind, number>>>
  /** Bytes a second that an element-wise operator reads and writes. */
  readonly bytesPerSecond: number
}

/** Seconds that the runtime takes for a node beside its work. */
const SECONDS_PER_NODE = 4e-6

const [ROWS, INPUTS, OUTPUTS] = [512, 768, 1536]
const microsoft = { domain: 'com.microsoft' }

/** y = x·W in the way of a scheme, [ROWS, INPUTS] by [INPUTS, OUTPUTS]. */
function productGraph(kind: ProductKind): Graph {
  const graph = new Graph(`calibration-${kind}`)
  const b = new GraphBuilder(graph)
  const x = graph.addInput('x', 'float32', [ROWS, INPUTS])
  const shapes = { shapes: [[ROWS, OUTPUTS]] as const }
  const floats = (shape: readonly number[], value: number): HostTensor =>
    float32(shape, new Float32Array(shape.reduce((a, c) => a * c, 1)).fill(value))
  if (kind === 'fp32') graph.outputs = [b.gemm(x, b.constant(floats([INPUTS, OUTPUTS], 0.01)))]
  else if (kind === 'int8') {
    const codes = b.constant({ dtype: 'int8', shape: [INPUTS, OUTPUTS], data: new Int8Array(INPUTS * OUTPUTS).fill(3) })
    graph.outputs = [
      b.emit('DynamicQuantizeMatMul', [x, codes, b.constant(floats([OUTPUTS], 0.01))], {}, { ...microsoft, ...shapes }),
    ]
  } else {
    const blocks = INPUTS / 32
    const codes = b.constant({
      dtype: 'uint8',
      shape: [OUTPUTS, blocks, 16],
      data: new Uint8Array(OUTPUTS * blocks * 16).fill(0x79),
    })
    const attributes = { K: int(INPUTS), N: int(OUTPUTS), bits: int(4), block_size: int(32), accuracy_level: int(4) }
    const scales = b.constant(floats([OUTPUTS * blocks], 0.01))
    graph.outputs = [b.emit('MatMulNBits', [x, codes, scales], attributes, { ...microsoft, ...shapes })]
  }
  return graph
}

/** A chain of additions on [ROWS, OUTPUTS], which no optimisation of the runtime joins. */
function elementwiseGraph(length: number): Graph {
  const graph = new Graph('calibration-elementwise')
  const b = new GraphBuilder(graph)
  let x = graph.addInput('x', 'float32', [ROWS, OUTPUTS])
  const other = graph.addInput('other', 'float32', [ROWS, OUTPUTS])
  for (let i = 0; i < length; i++) x = i % 2 === 0 ? b.add(x, other) : b.mul(x, other)
  graph.outputs = [b.reduceSum(x, [0, 1])]
  return graph
}

/** Least seconds of a run among as many as fit into `budget` seconds, at least three: what disturbs only adds. */
async function leastSeconds(
  { runtime, now }: Environment,
  graph: Graph,
  feeds: Readonly<Record<string, HostTensor>>,
  budget: number,
): Promise<number> {
  const session = await runtime.createSession(graph)
  try {
    await session.run(feeds)
    let least = Infinity
    const started = now()
    for (let i = 0; i < 3 || now() - started < budget * 1000; i++) {
      const before = now()
      await session.run(feeds)
      least = Math.min(least, (now() - before) / 1000)
    }
    return least
  } finally {
    await session.release()
  }
}

/** Measures the rates of this machine and runtime, about 0.15 s for each kind of product. */
export async function measureRates(environment: Environment, kinds: readonly ProductKind[]): Promise<MachineRates> {
  const matrix = (columns: number): HostTensor =>
    float32(
      [ROWS, columns],
      Float32Array.from({ length: ROWS * columns }, (_, i) => ((i % 17) - 8) / 8),
    )
  const products: Partial<Record<ProductKind, number>> = {}
  for (const kind of kinds) {
    const seconds = await leastSeconds(environment, productGraph(kind), { x: matrix(INPUTS) }, 0.15)
    products[kind] = (2 * ROWS * INPUTS * OUTPUTS) / seconds
  }
  const length = 16
  const seconds = await leastSeconds(environment, elementwiseGraph(length), { x: matrix(OUTPUTS), other: matrix(OUTPUTS) }, 0.15)
  return { products, bytesPerSecond: (length * 3 * 4 * ROWS * OUTPUTS) / seconds }
}

/** Seconds of one run. */
export function secondsOf({ operations, movedBytes, nodes }: Work, { products, bytesPerSecond }: MachineRates): number {
  let seconds = movedBytes / bytesPerSecond + nodes * SECONDS_PER_NODE
  for (const [kind, count] of Object.entries(operations) as [ProductKind, number][])
    if (count > 0) seconds += count / products[kind]!
  return seconds
}
