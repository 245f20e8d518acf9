/** @file Types and shapes of every value of a graph, with constants and computations on shapes folded on the way. */
import { InvalidModelError, LowrankError, ShapeError } from '../errors.js'
import { GraphBuilder } from './builder.js'
import { numbersOf, tensor } from './constants.js'
import { foldNode, FOLD_LIMIT, isNumeric, type Known } from './fold.js'
import { Graph } from './graph.js'
import { canInfer, inferNode } from './infer/index.js'
import { UndecidedDimsError } from './shapes.js'
import {
  elementCount,
  isFileTensor,
  isFloat,
  type Dim,
  type DType,
  type HostTensor,
  type Initializer,
  type Node,
  type Shape,
  type Value,
} from './types.js'

/** A node whose outputs have no known type, and why. */
export interface Uninferred {
  readonly node: Node
  readonly reason: string
}

export interface InferredGraph {
  readonly graph: Graph
  /** Lengths that were taken to be equal because some operator needs them to be. */
  readonly assumptions: readonly (readonly [string, Dim])[]
  /** Nodes that inference does not understand and whose outputs the file does not describe either. */
  readonly uninferred: readonly Uninferred[]
}

/** What takes the place of a node: values already emitted by `state.b`, or further nodes to walk through. */
export type Replacement =
  | { readonly values: readonly (Value | undefined)[] }
  | {
      readonly nodes: readonly Node[]
      readonly initializers?: ReadonlyMap<string, Initializer>
      readonly outputs: readonly string[]
    }

/** A look at each node before its outputs are inferred; undefined keeps it. Its inputs are in `state.graph`. */
export type Rewrite = (node: Node, state: InferState) => Replacement | Node | undefined

/** Why a node's operator is refused, whatever it reads; undefined if it is not. */
export type Refusal = (node: Node) => string | undefined

/** Two names for one length are found one at a time; a graph with more is damaged. */
const MAX_ASSUMPTIONS = 500

/** A folded tensor as an initializer. */
const toTensor = ({ dtype, shape, values }: Known): HostTensor => tensor(dtype, shape, values as number[])

/** A message without the operator and name of the node that it begins with: whoever lists the nodes says them. */
const withoutPlace = (message: string, node: Node): string => {
  const end = `"${node.name}": `
  const at = message.indexOf(end)
  return at < 0 ? message : message.slice(at + end.length)
}

/** A graph whose values, those that a lowering emits too, have one name for lengths that are taken to be equal. */
class UnifiedGraph extends Graph {
  constructor(
    name: string,
    private readonly unify: (dim: Dim) => Dim,
  ) {
    super(name)
  }

  override declare(name: string, dtype: DType, shape: Shape | undefined): Value {
    return super.declare(name, dtype, shape?.map(this.unify))
  }
}

const isNode = (found: Replacement | Node): found is Node => 'op' in found

/** The walk over a graph: the result so far and what is known of its values. */
export class InferState {
  readonly graph: Graph
  readonly b: GraphBuilder
  /** Elements of small tensors. */
  readonly known = new Map<string, Known>()
  readonly uninferred: Uninferred[] = []
  /** Elements of small integer tensors, where names stand for lengths known at the run only. */
  readonly dims = new Map<string, readonly Dim[]>()
  private readonly aliases = new Map<string, string>()
  private readonly lost = new Set<string>()
  private readonly outputs: ReadonlySet<string>
  private readonly makers = new Map<string, Node>()
  private indexed = 0

  constructor(
    private readonly source: Graph,
    private readonly equal: ReadonlyMap<string, Dim>,
    private readonly rewrite: Rewrite | undefined,
    private readonly refused: Refusal | undefined,
  ) {
    this.graph = new UnifiedGraph(source.name, this.unify)
    this.graph.opsets.clear()
    for (const [domain, version] of source.opsets) this.graph.opsets.set(domain, version)
    for (const [name, module] of source.modules) this.graph.modules.set(name, module)
    this.b = new GraphBuilder(this.graph)
    for (const { name, dtype, shape } of source.inputs) this.graph.addInput(name, dtype, shape!)
    for (const [name, initializer] of source.initializers) this.addConstant(name, initializer)
    this.outputs = new Set(source.outputs.map((o) => o.name))
    // Names of later values must not be taken by what a lowering emits.
    for (const node of source.nodes) for (const output of node.outputs) this.graph.reserved.add(output)
  }

  private readonly unify = (dim: Dim): Dim => {
    let result = dim
    while (typeof result === 'string' && this.equal.has(result)) result = this.equal.get(result)!
    return result
  }

  private addConstant(name: string, initializer: Initializer): void {
    this.graph.addInitializer(name, initializer)
    if (elementCount(initializer.shape) <= FOLD_LIMIT && !isFileTensor(initializer)) this.learn(name, initializer)
  }

  private learn(name: string, host: HostTensor): void {
    const values = numbersOf(host)
    if (values !== undefined) this.remember(name, { dtype: host.dtype, shape: host.shape, values })
  }

  private remember(name: string, known: Known): void {
    this.known.set(name, known)
    this.dims.set(name, known.values)
  }

  /** The value an input name stands for now. */
  value(name: string): Value | undefined {
    return name === '' ? undefined : this.graph.values.get(this.aliases.get(name) ?? name)
  }

  /** The elements of an input, all of them numbers. */
  numbers(name: string | undefined): number[] | undefined {
    const known = name === undefined ? undefined : this.known.get(this.aliases.get(name) ?? name)
    return known !== undefined && isNumeric(known) ? (known.values as number[]) : undefined
  }

  /** The node so far that computes a value. */
  producer(name: string): Node | undefined {
    for (; this.indexed < this.graph.nodes.length; this.indexed++) {
      const node = this.graph.nodes[this.indexed]!
      for (const output of node.outputs) if (output !== '') this.makers.set(output, node)
    }
    return this.makers.get(name)
  }

  /** The constant an input name stands for. */
  initializer(name: string | undefined): Initializer | undefined {
    return name === undefined ? undefined : this.graph.initializers.get(this.aliases.get(name) ?? name)
  }

  run(): void {
    for (const node of this.source.nodes) this.check(node)
    this.graph.outputs = this.source.outputs.flatMap(({ name }) => {
      const value = this.value(name)
      if (value === undefined) return []
      this.graph.reserved.delete(name)
      return [value.name === name ? value : this.b.emit('Identity', [value], {}, { name })]
    })
  }

  /** Visits a node of the file. One that lacks operands or attributes is met deep inside a rule, which takes them for granted. */
  private check(node: Node): void {
    try {
      this.visit(node)
    } catch (cause) {
      if (cause instanceof LowrankError) throw cause
      throw new InvalidModelError(
        `${node.op} "${node.name}" with ${node.inputs.length} inputs and ${node.outputs.length} outputs is not what the operator allows (${(cause as Error).message}); the file is damaged`,
        { cause },
      )
    }
  }

  private visit(original: Node): void {
    const inputs = original.inputs.map((name) => (name === '' ? '' : (this.aliases.get(name) ?? name)))
    let node: Node = { ...original, inputs }
    if (inputs.some((name) => this.lost.has(name))) {
      // What is behind a node that is not understood is not looked at, but its operator may be another such.
      const reason = this.refused?.(node)
      if (reason !== undefined) this.uninferred.push({ node, reason })
      return this.lose(node)
    }
    const folded = this.fold(node)
    if (folded) return
    let found: Replacement | Node | undefined
    try {
      found = this.rewrite?.(node, this)
    } catch (error) {
      if (error instanceof UndecidedDimsError || !(error instanceof LowrankError)) throw error
      this.uninferred.push({ node, reason: withoutPlace(error.message, node) })
      return this.lose(node)
    }
    if (found !== undefined && !isNode(found)) return this.replace(node, found)
    if (found !== undefined) {
      node = found
      if (this.fold(node)) return
    }
    this.infer(node)
  }

  private replace(node: Node, found: Replacement): void {
    if ('values' in found) {
      node.outputs.forEach((name, i) => {
        const value = found.values[i]
        if (name === '') return
        if (value === undefined) this.lost.add(name)
        else this.alias(name, value.name)
      })
      return
    }
    for (const [name, initializer] of found.initializers ?? []) this.addConstant(name, initializer)
    for (const inner of found.nodes) this.visit(inner)
    node.outputs.forEach((name, i) => {
      const inner = found.outputs[i]
      if (name === '' || inner === undefined || inner === '') return
      this.alias(name, this.aliases.get(inner) ?? inner)
    })
  }

  private alias(name: string, to: string): void {
    if (this.lost.has(to)) this.lost.add(name)
    else this.aliases.set(name, to)
  }

  /** Computes a node here and now where its inputs allow; true where nothing of it has to stay. */
  private fold(node: Node): boolean {
    const knowns = node.inputs.map((name) => this.known.get(name))
    const outputs = foldNode(
      node,
      knowns,
      node.inputs.map((name) => this.graph.values.get(name)?.shape),
    )
    if (outputs === undefined) return false
    // A matrix of floats is a weight, however small: it keeps its name.
    const isWeight = outputs.some(({ dtype, shape }) => isFloat(dtype) && shape.length > 1)
    const constant = outputs.every(isNumeric) && !isWeight && !node.outputs.some((name) => this.outputs.has(name))
    node.outputs.forEach((name, i) => {
      if (name === '') return
      const known = outputs[i]!
      if (constant) this.graph.addInitializer(name, toTensor(known))
      this.remember(name, { ...known, values: known.values.map(this.unify) })
    })
    return constant
  }

  private infer(node: Node): void {
    const inputs = node.inputs.map((name) => (name === '' ? undefined : this.graph.value(name)))
    try {
      if (!canInfer(node.op)) throw new ShapeError('its output shapes are not known')
      const types = inferNode(this.graph, node.op, inputs, node.attributes, node.outputs.length, this.dims)
      node.outputs.forEach((name, i) => {
        if (name === '') return
        const { dtype, shape } = types[i]!
        const declared = shape === undefined ? this.source.values.get(name)?.shape : undefined
        this.graph.declare(name, dtype, shape ?? declared)
      })
    } catch (error) {
      if (error instanceof UndecidedDimsError || !(error instanceof LowrankError)) throw error
      const declared = node.outputs.map((name) => this.source.values.get(name))
      if (node.outputs.some((name, i) => name !== '' && declared[i] === undefined)) {
        this.uninferred.push({ node, reason: error.message })
        return this.lose(node)
      }
      declared.forEach((value) => value && this.graph.declare(value.name, value.dtype, value.shape))
    }
    this.graph.nodes.push(node)
  }

  /** Nothing is known of what a node gives: nodes that read it are left out too, and only the first is reported. */
  private lose(node: Node): void {
    for (const name of node.outputs) if (name !== '') this.lost.add(name)
  }
}

/** Which of two lengths stands for both: a number, else the shorter name, so that `batch` wins over `(2·n+1)`. */
function orient(a: Dim, b: Dim, inputs: ReadonlySet<Dim>): [string, Dim] {
  const rank = (d: Dim): number => (typeof d === 'number' ? 0 : inputs.has(d) ? 1 : /^[\w.]+$/.test(d) ? 2 : 3)
  const keepA = rank(a) !== rank(b) ? rank(a) < rank(b) : String(a).length <= String(b).length
  return keepA ? [b as string, a] : [a as string, b]
}

/**
 * Infers a graph, for example one decoded from a file that declares no inner shapes.
 *
 * Lengths with names pass through computations on shapes as names, so that a Reshape to `[batch, -1, heads, size]` read
 * from other tensors has a known shape. Exporters often give one length several names (the batch of `input_ids` and of
 * `attention_mask`); where an operator needs two to be equal they are taken to be, and the result says so.
 *
 * @param rewrite replaces nodes on the way
 * @param refused why an operator is not supported at all: asked of nodes behind those that are not
 * @returns a pruned graph; the given one is not changed
 */
export function inferGraph(graph: Graph, rewrite?: Rewrite, refused?: Refusal): InferredGraph {
  const equal = new Map<string, Dim>()
  const inputDims = new Set(graph.inputs.flatMap((i) => i.shape ?? []))
  for (;;) {
    const state = new InferState(graph, equal, rewrite, refused)
    try {
      state.run()
    } catch (error) {
      if (!(error instanceof UndecidedDimsError) || equal.size >= MAX_ASSUMPTIONS) throw error
      const [from, to] = orient(error.a, error.b, inputDims)
      if (equal.has(from)) throw error
      equal.set(from, to)
      continue
    }
    state.graph.reserved.clear()
    state.graph.prune()
    return { graph: state.graph, assumptions: [...equal], uninferred: state.uninferred }
  }
}
