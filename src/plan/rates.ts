/** @file How fast this machine is, measured in about a second: what predictions of time rest on. */
import type { Environment } from '../environment.js'
import { InvalidOptionError } from '../errors.js'
import { float32 } from '../graph/constants.js'
import { GraphBuilder } from '../graph/builder.js'
import { Graph } from '../graph/graph.js'
import { int, type HostTensor, type Value } from '../graph/types.js'
import type { SessionOptions } from '../runtime/runtime.js'
import { checkKeys, type OptionKeys } from '../util/option-keys.js'
import type { ProductKind, Work } from './work.js'

/** How fast a machine is. */
export interface MachineRates {
  /** Operations a second, by kind; only of the kinds that were asked for. */
  readonly products: Readonly<Partial<Record<ProductKind, number>>>
  /** Bytes a second that an element-wise operator reads and writes. */
  readonly bytesPerSecond: number
  /** What the runtime takes for a node however small, and to share it out among threads. */
  readonly secondsPerNode: number
}

const sessionOptionKeys: OptionKeys<SessionOptions> = { profile: true, disablePrepacking: true }

const [ROWS, WIDTH, INNER, HEADS, HEAD, BLOCK] = [512, 768, 3072, 24, 64, 32]
const microsoft = { domain: 'com.microsoft' }

const floats = (shape: readonly number[], value = 0.01): HostTensor =>
  float32(shape, new Float32Array(shape.reduce((a, c) => a * c, 1)).fill(value))

/** Some work that a run does several times, each on what the last gave, so that no result leaves the runtime. */
interface Trial {
  readonly graph: Graph
  readonly feeds: Readonly<Record<string, HostTensor>>
  /** Operations, bytes or nodes of a run. */
  readonly amount: number
}

/** A trial of `body`, which gives a value from the fed ones and how much it did. */
function trial(
  name: string,
  inputs: Readonly<Record<string, HostTensor>>,
  body: (b: GraphBuilder, x: Readonly<Record<string, Value>>) => [value: Value, amount: number],
): Trial {
  const graph = new Graph(`calibration-${name}`)
  const b = new GraphBuilder(graph)
  const values = Object.entries(inputs).map(([key, { shape }]) => [key, graph.addInput(key, 'float32', shape)] as const)
  const [value, amount] = body(b, Object.fromEntries(values))
  graph.outputs = [b.sumAll(value)]
  return { graph, feeds: inputs, amount }
}

/** Down to a wider layer and back, several times, with matrices of a scheme: products as the blocks of a model have them. */
function layers(kind: 'fp32' | 'int8' | 'int4'): Trial {
  return trial(kind, { x: floats([ROWS, WIDTH]) }, (b, { x }) => {
    let y = x!
    const [count, sizes] = [6, [WIDTH, INNER]]
    for (let i = 0; i < count; i++) y = product(b, kind, y, sizes[i % 2]!, sizes[(i + 1) % 2]!, i)
    return [y, count * 2 * ROWS * WIDTH * INNER]
  })
}

/** @param i another number for each matrix: of equal ones the runtime keeps one, which then never leaves the caches */
function product(b: GraphBuilder, kind: 'fp32' | 'int8' | 'int4', x: Value, inputs: number, outputs: number, i: number): Value {
  const shapes = { shapes: [[ROWS, outputs]] as const }
  if (kind === 'fp32') return b.gemm(x, b.constant(floats([inputs, outputs], 0.001 + i * 1e-4)))
  if (kind === 'int8') {
    const codes = b.constant({ dtype: 'int8', shape: [inputs, outputs], data: new Int8Array(inputs * outputs).fill(3 + i) })
    const rows = b.emit('QuantizeLinear', [x, b.scalar(0.01), b.scalar(128, 'uint8')])
    const operands = [rows, codes, b.scalar(0.01), b.constant(floats([outputs])), b.scalar(128, 'uint8')]
    return b.emit('MatMulIntegerToFloat', operands, {}, { ...microsoft, ...shapes })
  }
  const codes = new Uint8Array((inputs * outputs) / 2).fill(0x79 + i)
  const attributes = { K: int(inputs), N: int(outputs), bits: int(4), block_size: int(BLOCK), accuracy_level: int(4) }
  const operands = [
    x,
    b.constant({ dtype: 'uint8', shape: [outputs, inputs / BLOCK, BLOCK / 2], data: codes }),
    b.constant(floats([(outputs * inputs) / BLOCK])),
  ]
  return b.emit('MatMulNBits', operands, attributes, { ...microsoft, ...shapes })
}

/** Scores, what they weigh, and the transposed product of the backward pass, for heads of the usual size. */
const batched = (): Trial =>
  trial('batched', { q: floats([HEADS, HEAD, HEAD]), k: floats([HEADS, 2 * HEAD, HEAD]) }, (b, { q, k }) => {
    let x = q!
    for (let i = 0; i < 4; i++) {
      const scores = b.matmul(x, k!, { transB: true })
      x = b.matmul(scores, b.matmul(scores, x, { transA: true }))
    }
    return [x, 4 * 3 * 2 * HEADS * HEAD * 2 * HEAD * HEAD]
  })

const widening = (): Trial =>
  trial('widening', { x: floats([1, 1]) }, (b, { x }) => {
    const shape = [INNER, WIDTH / BLOCK]
    const count = INNER * WIDTH
    const codes = b.constant({ dtype: 'uint4', shape: [INNER, WIDTH], data: new Uint8Array(count / 2).fill(0x79) })
    const middle = b.constant({ dtype: 'uint4', shape, data: new Uint8Array(count / BLOCK / 2).fill(0x88) })
    // Scales that come from an input: the runtime would compute the whole once, and fuse the product.
    const scales = b.mul(b.constant(floats(shape)), x!)
    return [b.emit('DequantizeLinear', [codes, scales, middle], { axis: int(1), block_size: int(BLOCK) }), count]
  })

/** A chain of element-wise operators on a matrix of that width, which no optimisation of the runtime joins. */
const chain = (name: string, width: number, length: number): Trial =>
  trial(name, { x: floats([ROWS, width]), other: floats([ROWS, width]) }, (b, { x, other }) => {
    let y = x!
    for (let i = 0; i < length; i++) y = i % 2 === 0 ? b.add(y, other!) : b.mul(b.sigmoid(y), x!)
    return [y, length]
  })

const trials: Readonly<Record<ProductKind, () => Trial>> = {
  fp32: () => layers('fp32'),
  int8: () => layers('int8'),
  int4: () => layers('int4'),
  batched,
  widening,
}

/** Median seconds of a run among as many as fit into a tenth of a second, at least five. */
async function secondsOfRun({ runtime, now }: Environment, { graph, feeds }: Trial, options: SessionOptions): Promise<number> {
  const session = await runtime.createSession(graph, options)
  try {
    await session.run(feeds)
    const seconds: number[] = []
    for (const started = now(); seconds.length < 5 || now() - started < 100;) {
      const before = now()
      await session.run(feeds)
      seconds.push((now() - before) / 1000)
    }
    return seconds.sort((a, b) => a - b)[Math.floor(seconds.length / 2)]!
  } finally {
    await session.release()
  }
}

/**
 * Measures the rates of this machine and runtime, a few tenths of a second for each kind of work: what `planTraining` takes
 * as its `rates`, measured once for many plans.
 * @param kinds the kinds of products that are to be predicted
 * @param options of the session that is to be predicted: whether it keeps weights arranged for products
 * @throws RuntimeError if the runtime refuses to compile or to run a kind of work
 * @example
 * const { products } = await measureRates(model.environment, ['fp32'])
 * console.log(products.fp32! / 1e9, 'billion operations a second')
 */
export async function measureRates(
  environment: Environment,
  kinds: readonly ProductKind[],
  options: SessionOptions = {},
): Promise<MachineRates> {
  checkKeys(options, sessionOptionKeys, 'measureRates')
  const products: Partial<Record<ProductKind, number>> = {}
  for (const kind of kinds) {
    const t = trials[kind]()
    products[kind] = t.amount / (await secondsOfRun(environment, t, options))
  }
  const [short, long] = [chain('nodes', 128, 60), chain('element-wise', INNER, 12)]
  // Half of the chain's steps are two operators, a third of which reads one array alone.
  const secondsPerNode = (await secondsOfRun(environment, short, options)) / (1.5 * short.amount)
  const seconds = await secondsOfRun(environment, long, options)
  const bytes = long.amount * (0.5 * 3 + 0.5 * (2 + 3)) * 4 * ROWS * INNER
  return { products, bytesPerSecond: bytes / seconds, secondsPerNode }
}

/**
 * Seconds of one run.
 * @throws InvalidOptionError if the rates lack a kind of work that it has
 */
export function secondsOf({ operations, movedBytes, nodes }: Work, rates: MachineRates): number {
  const { products, bytesPerSecond, secondsPerNode } = rates
  let seconds = movedBytes / bytesPerSecond + nodes * secondsPerNode
  for (const [kind, count] of Object.entries(operations) as [ProductKind, number][])
    if (count > 0) {
      const rate = products[kind]
      if (rate === undefined)
        throw new InvalidOptionError(`the rates of the machine have none for "${kind}", which the run needs: measure them again`)
      seconds += count / rate
    }
  return seconds
}
