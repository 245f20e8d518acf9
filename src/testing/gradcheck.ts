/** @file Checks gradients by central differences: the one experiment that every rule has to pass. */
import { differentiate } from '../autodiff/differentiate.js'
import type { GradientRule } from '../autodiff/rule.js'
import { ShapeError } from '../errors.js'
import { operatorKey } from '../graph/allowed-ops.js'
import { GraphBuilder } from '../graph/builder.js'
import { numbersOf, tensor } from '../graph/constants.js'
import { evaluateDim } from '../graph/dim/index.js'
import { Graph } from '../graph/graph.js'
import { elementCount, type Dim, type HostTensor, type Shape, type Value } from '../graph/types.js'
import type { Runtime, Session } from '../runtime/runtime.js'
import { Random } from '../util/rng.js'
import { checkKeys, type OptionKeys } from '../util/option-keys.js'

/** An input of a checked function. A bare shape is a float input of random values in [-1, 1). */
export interface InputSpec {
  /** Lengths of the axes; names are given a length by `dims`. */
  readonly shape: Shape
  /** Integers and booleans are not differentiated; floats follow the precision of the check. */
  readonly dtype?: 'int64' | 'int32' | 'bool'
  /** Values in row-major order in place of random ones. */
  readonly values?: readonly number[]
  /** Interval of the random values. */
  readonly range?: readonly [number, number]
  /** `false`: a float input that the gradient is not asked for. */
  readonly differentiate?: boolean
}

/** Builds a function of named inputs: one result, or several. */
export type Build = (b: GraphBuilder, x: Readonly<Record<string, Value>>) => Value | readonly Value[]

/** A function of named inputs whose gradient is checked. */
export interface GradientCase {
  /** For messages. */
  readonly name: string
  /** Inputs by name. */
  readonly inputs: Readonly<Record<string, Shape | InputSpec>>
  /** Lengths of the symbolic dimensions in the shapes. */
  readonly dims?: Readonly<Record<string, number>>
  /** Builds the function from its inputs; all results enter the loss. */
  readonly build: Build
  /** The same function in operators with float64 kernels, where `build` uses one that has none. */
  readonly reference?: Build
  /** The same function in plain TypeScript, where no operators have float64 kernels: values per input to values per result. */
  readonly forward?: (x: Readonly<Record<string, readonly number[]>>) => readonly (readonly number[])[]
}

/** Options of {@link gradcheck}. */
export interface GradcheckOptions {
  /** Of the random values; 1 where it is not given. */
  readonly seed?: number
  /** Rules beside or instead of the built-in ones. */
  readonly rules?: readonly GradientRule[]
}

const gradcheckOptionKeys = { seed: true, rules: true } satisfies OptionKeys<GradcheckOptions>

/** How far the gradients agree. */
export interface GradcheckResult {
  /** Largest difference between both gradients, relative to the largest numeric one or 1. */
  readonly error: number
  /** Largest difference between the float32 results and the reference, relative likewise. */
  readonly forwardError: number
  /** The emitted gradients by input, row-major. */
  readonly gradients: Readonly<Record<string, readonly number[]>>
  /** Operators of the function itself and of the backward pass that was appended. */
  readonly forwardOps: ReadonlySet<string>
  /** Operators of the backward pass, one for each node. */
  readonly backwardOps: readonly string[]
}

/** Step of the differences: in float64 its square and the rounding error over it are both far below float32's. */
const STEP = 1e-5

const isSpec = (input: Shape | InputSpec): input is InputSpec => 'shape' in input

interface Built {
  readonly b: GraphBuilder
  readonly graph: Graph
  readonly inputs: Readonly<Record<string, Value>>
  readonly results: readonly Value[]
  /** Weight of each result in the loss, an input of the same shape. */
  readonly weights: readonly Value[]
}

/**
 * Compares the emitted gradient, run in float32, with central differences in float64 of the loss Σ w·y with random w.
 * Every element of every differentiated input is checked, so keep tensors small.
 *
 * @example expect((await gradcheck(runtime, { name: 'tanh', inputs: { x: [2, 3] }, build: (b, { x }) => b.tanh(x!) })).error).toBeLessThan(1e-5)
 */
export async function gradcheck(runtime: Runtime, check: GradientCase, options: GradcheckOptions = {}): Promise<GradcheckResult> {
  checkKeys(options, gradcheckOptionKeys, 'gradcheck')
  const specs = Object.entries(check.inputs).map(([name, input]) => [name, isSpec(input) ? input : { shape: input }] as const)
  const generator = new Random(options.seed ?? 1)
  const random = (): number => generator.uniform()
  const size = (dim: Dim): number => {
    const dims: Readonly<Record<string, number>> = { ...check.dims }
    const missing = (name: string): never => {
      throw new ShapeError(`gradcheck "${check.name}": dims has no length for "${name}"`)
    }
    return dims[dim] ?? evaluateDim(dim, (name) => dims[name], missing)
  }
  const values = Object.fromEntries(
    specs.map(([name, { shape, values: given, range: [low, high] = [-1, 1] }]) => [
      name,
      // Rounded to float32, so that both precisions start from the same numbers.
      given ?? Array.from({ length: elementCount(shape.map(size)) }, () => Math.fround(low + (high - low) * random())),
    ]),
  )
  const wrt = specs.filter(([, spec]) => spec.dtype === undefined && spec.differentiate !== false).map(([name]) => name)

  const assemble = (float: 'float32' | 'float64', build: Build): Built => {
    const graph = new Graph('gradcheck')
    const b = new GraphBuilder(graph)
    const inputs = Object.fromEntries(
      specs.map(([name, { shape, dtype }]) => [name, graph.addInput(name, dtype ?? float, shape)]),
    )
    const built = build(b, inputs)
    const results = 'name' in built ? [built] : built
    const weights = results.map((y, i) => graph.addInput(`weight_${i}`, y.dtype, y.shape!))
    return { b, graph, inputs, results, weights }
  }
  const feed = (graph: Graph, numbers: Readonly<Record<string, readonly number[]>>): Record<string, HostTensor> =>
    Object.fromEntries(graph.inputs.map(({ name, dtype, shape }) => [name, tensor(dtype, shape!.map(size), numbers[name]!)]))
  const resultsOf = (session: Session, built: Built, x: Readonly<Record<string, readonly number[]>>): Promise<number[][]> =>
    session.run(feed(built.graph, x)).then((out) => built.results.map((y) => numbersOf(out[y.name])!))

  // The emitted gradient in float32.
  const main = assemble('float32', check.build)
  const weights = main.weights.map(({ shape }) =>
    Array.from({ length: elementCount(shape!.map(size)) }, () => Math.fround(2 * random() - 1)),
  )
  const withWeights = (x: Readonly<Record<string, readonly number[]>>): Record<string, readonly number[]> => ({
    ...x,
    ...Object.fromEntries(weights.map((w, i) => [`weight_${i}`, w])),
  })
  const forwardOps = new Set(main.graph.nodes.map((node) => operatorKey(node.op, node.domain)))
  const loss = main.results.map((y, i) => main.b.sumAll(main.b.mul(y, main.weights[i]!))).reduce(main.b.add)
  const before = main.graph.nodes.length
  const { graph, gradients } = differentiate(
    main.graph,
    loss,
    wrt.map((name) => main.inputs[name]!),
    options.rules ? { rules: options.rules } : {},
  )
  const backwardOps = graph.nodes.slice(before).map((node) => operatorKey(node.op, node.domain))
  graph.outputs = [...new Map([...main.results, ...gradients.values()].map((value) => [value.name, value])).values()]
  const session = await runtime.createSession(graph)
  const outputs = await session.run(feed(graph, withWeights(values)))
  await session.release()
  const emitted = Object.fromEntries(wrt.map((name) => [name, numbersOf(outputs[gradients.get(name)!.name])!]))

  // Central differences in float64.
  const forward = check.forward
  let evaluate: (x: Readonly<Record<string, readonly number[]>>) => Promise<readonly (readonly number[])[]>
  let release = async (): Promise<void> => {}
  if (forward !== undefined) evaluate = async (x) => forward(x)
  else {
    const reference = assemble('float64', check.reference ?? check.build)
    reference.graph.outputs = [...reference.results]
    reference.graph.inputs = reference.graph.inputs.filter((input) => !reference.weights.includes(input))
    const double = await runtime.createSession(reference.graph)
    evaluate = (x) => resultsOf(double, reference, x)
    release = () => double.release()
  }
  const lossAt = async (x: Readonly<Record<string, readonly number[]>>): Promise<number> =>
    (await evaluate(x)).reduce((sum, y, i) => y.reduce((s, v, j) => s + v * weights[i]![j]!, sum), 0)
  const expected = (await evaluate(values)).flat()
  const forwardError = relativeError(
    main.results.flatMap((y) => numbersOf(outputs[y.name])!),
    expected,
  )
  let error = 0
  for (const name of wrt) {
    const numeric: number[] = []
    for (let i = 0; i < values[name]!.length; i++) {
      const moved = (step: number): Promise<number> =>
        lossAt({ ...values, [name]: values[name]!.map((v, j) => (i === j ? v + step : v)) })
      numeric.push(((await moved(STEP)) - (await moved(-STEP))) / (2 * STEP))
    }
    error = Math.max(error, relativeError(emitted[name]!, numeric))
  }
  await release()
  return { error, forwardError, gradients: emitted, forwardOps, backwardOps }
}

/** Infinity where lengths differ or a number is NaN. */
function relativeError(actual: readonly number[], expected: readonly number[]): number {
  if (actual.length !== expected.length) return Infinity
  const scale = expected.reduce((max, v) => Math.max(max, Math.abs(v)), 1)
  const worst = actual.reduce((max, v, i) => Math.max(max, Math.abs(v - expected[i]!)), 0)
  return actual.some(Number.isNaN) || expected.some(Number.isNaN) ? Infinity : worst / scale
}
