/** @file A graph: values, initializers and nodes, with the few edits every pass needs. */
import { InvalidModelError } from '../errors.js'
import type { DType, Initializer, Node, Shape, Value } from './types.js'
import type { TargetModule } from './target-module.js'
import { ancestry } from './walk.js'

/** Opset that lowrank builds for. 21 is the newest that the kernels of every execution provider cover. */
export const DEFAULT_OPSET = 21

/**
 * A computation on named values. `nodes` is kept in topological order by every pass that returns a graph.
 * A pass clones the graph it is given, changes the clone and returns it: nodes and values are immutable, so a
 * clone copies lists and never weights.
 *
 * @example
 * const graph = new Graph('double')
 * const x = graph.addInput('x', 'float32', ['batch'])
 * graph.outputs = [new GraphBuilder(graph).mul(x, 2)]
 */
export class Graph {
  /** Required inputs, in order. */
  inputs: Value[] = []
  /** Results, in order. */
  outputs: Value[] = []
  /** Operations, each after those whose results it reads. */
  nodes: Node[] = []
  /** Constants by name: weights and numbers. */
  readonly initializers = new Map<string, Initializer>()
  /** Every value that is known, by name: inputs, initializers and node outputs. */
  readonly values = new Map<string, Value>()
  /** Layers that can be adapted, by the name their authors gave them. */
  readonly modules = new Map<string, TargetModule>()
  /** Versions of the operator sets by domain; `''` is ai.onnx. */
  readonly opsets = new Map<string, number>([
    ['', DEFAULT_OPSET],
    ['com.microsoft', 1],
  ])
  /** What the file that the graph was read from holds beside it (functions, doc strings); the file format's own. */
  origin: unknown
  /** Shapes were inferred from a file, not built: a name may stand for lengths that differ, where the file's author was careless. */
  inferred = false
  /** Names that nothing new may take: those of values that a pass has yet to declare. */
  readonly reserved = new Set<string>()
  /** Values that a gradient takes for constants, though they are computed. */
  readonly detached = new Set<string>()
  private counter = 0

  /** An empty graph. */
  constructor(
    /** What the file calls it. */
    readonly name = 'lowrank',
  ) {}

  /** A graph with lists of its own and the same nodes, values and tensors. */
  clone(): Graph {
    const copy = new Graph(this.name)
    copy.inputs = [...this.inputs]
    copy.outputs = [...this.outputs]
    copy.nodes = [...this.nodes]
    for (const [k, v] of this.initializers) copy.initializers.set(k, v)
    for (const [k, v] of this.values) copy.values.set(k, v)
    for (const [k, v] of this.modules) copy.modules.set(k, v)
    copy.opsets.clear()
    for (const [k, v] of this.opsets) copy.opsets.set(k, v)
    for (const name of this.detached) copy.detached.add(name)
    copy.counter = this.counter
    copy.origin = this.origin
    copy.inferred = this.inferred
    return copy
  }

  /** A name that no value has yet, starting with `hint`. */
  uniqueName(hint: string): string {
    const free = (name: string): boolean => !this.values.has(name) && !this.reserved.has(name)
    if (free(hint)) return hint
    for (;;) {
      const name = `${hint}_${++this.counter}`
      if (free(name)) return name
    }
  }

  /** Declares a value; a name is declared once. */
  declare(name: string, dtype: DType, shape: Shape | undefined): Value {
    if (this.values.has(name)) throw new InvalidModelError(`value "${name}" is defined twice in graph "${this.name}"`)
    const value: Value = { name, dtype, shape }
    this.values.set(name, value)
    return value
  }

  /**
   * Declares a required input.
   * @throws InvalidModelError if the name is taken
   */
  addInput(name: string, dtype: DType, shape: Shape): Value {
    const value = this.declare(name, dtype, shape)
    this.inputs.push(value)
    return value
  }

  /**
   * Declares a constant.
   * @throws InvalidModelError if the name is taken
   */
  addInitializer(name: string, tensor: Initializer): Value {
    const value = this.declare(name, tensor.dtype, tensor.shape)
    this.initializers.set(name, tensor)
    return value
  }

  /** The value of that name; an unknown name is our bug or a damaged model, so it throws. */
  value(name: string): Value {
    const value = this.values.get(name)
    if (value === undefined) throw new InvalidModelError(`graph "${this.name}" has no value "${name}"`)
    return value
  }

  /** Turns an initializer into a required input of the same name, so that its tensor is fed at each run. */
  promoteToInput(name: string): Value {
    const value = this.value(name)
    if (!this.initializers.delete(name)) throw new InvalidModelError(`"${name}" is not an initializer of graph "${this.name}"`)
    this.inputs.push(value)
    return value
  }

  /** Node index by output name. */
  producers(): Map<string, Node> {
    const map = new Map<string, Node>()
    for (const node of this.nodes) for (const output of node.outputs) if (output !== '') map.set(output, node)
    return map
  }

  /** Makes every node and graph output that reads `from` read `to`, except the given nodes. */
  replaceUses(from: Value, to: Value, except: ReadonlySet<Node> = new Set()): void {
    this.nodes = this.nodes.map((node) =>
      except.has(node) || !node.inputs.includes(from.name)
        ? node
        : { ...node, inputs: node.inputs.map((i) => (i === from.name ? to.name : i)) },
    )
    this.outputs = this.outputs.map((o) => (o.name === from.name ? to : o))
  }

  /** Puts the nodes into topological order, keeping the given order where it is free to. */
  sort(): void {
    const producer = this.producers()
    const done = new Set<Node>()
    const order: Node[] = []
    for (const root of this.nodes) {
      // Iterative depth-first walk: deep models would overflow the call stack.
      const stack: { node: Node; next: number }[] = done.has(root) ? [] : [{ node: root, next: 0 }]
      const open = new Set<Node>(stack.map((s) => s.node))
      while (stack.length > 0) {
        const top = stack[stack.length - 1]!
        if (top.next < top.node.inputs.length) {
          const dependency = producer.get(top.node.inputs[top.next++]!)
          if (dependency === undefined || done.has(dependency)) continue
          if (open.has(dependency))
            throw new InvalidModelError(`graph "${this.name}" has a cycle through node "${dependency.name}" (${dependency.op})`)
          open.add(dependency)
          stack.push({ node: dependency, next: 0 })
        } else {
          stack.pop()
          open.delete(top.node)
          done.add(top.node)
          order.push(top.node)
        }
      }
    }
    this.nodes = order
  }

  /** Drops nodes and initializers that no output needs. Inputs stay: they are the graph's contract. */
  prune(): void {
    const { nodes, names: needed } = ancestry(
      this.nodes,
      this.outputs.map((o) => o.name),
    )
    this.nodes = nodes
    const produced = new Set(this.nodes.flatMap((n) => n.outputs))
    const inputs = new Set(this.inputs.map((i) => i.name))
    for (const name of [...this.initializers.keys()]) if (!needed.has(name)) this.initializers.delete(name)
    for (const name of [...this.values.keys()]) {
      if (!produced.has(name) && !inputs.has(name) && !this.initializers.has(name)) this.values.delete(name)
    }
  }
}
