/** @file Runs statements. */
import { Activation } from './activation.js'
import type { ForNode, MacroNode, Scope, Statement, Target } from './ast.js'
import { each, iterate, truth } from './compare.js'
import { TemplateError } from './errors.js'
import { evaluate, evaluateArguments, filterText } from './evaluate.js'
import { noArguments } from './calls.js'
import { Loop, type Recurse } from './loop.js'
import { Macro } from './macro.js'
import { Output } from './output.js'
import { slotOf } from './symbols.js'
import { str } from './text.js'
import { Iterate, Namespace, Undefined, type Runtime, type Value } from './values.js'

/** How a run of statements ended. */
type Ending = 'break' | 'continue' | undefined

export class Executor {
  /**
   * @param notesGenerations whether the stretches of `{% generation %}` are asked for
   * @param watched items, by number, whose turns in loops are to be noted
   */
  constructor(
    private readonly runtime: Runtime,
    private readonly notesGenerations: boolean,
    private readonly watched: ReadonlyMap<Value, number> = new Map(),
  ) {}

  /** Runs statements until the end or to a `break` or `continue`. */
  run(statements: readonly Statement[], scope: Activation, out: Output): Ending {
    for (const statement of statements) {
      this.runtime.meter.step()
      const ending = this.statement(statement, scope, out)
      if (ending !== undefined) return ending
    }
    return undefined
  }

  private statement(statement: Statement, scope: Activation, out: Output): Ending {
    const { runtime } = this
    switch (statement.kind) {
      case 'text':
        out.write(statement.text)
        return undefined
      case 'output':
        out.write(str(evaluate(statement.value, scope, runtime), runtime.meter))
        return undefined
      case 'set':
        this.requireNamespaces(statement.target, scope)
        this.assign(statement.target, evaluate(statement.value, scope, runtime), scope)
        return undefined
      case 'set-block': {
        const { text, ending } = this.collect(statement.body, scope, statement)
        if (ending !== undefined) return ending
        const value = statement.filter === undefined ? text : filterText(statement.filter, text, scope, runtime)
        this.assign(statement.target, value, scope)
        scope.leave(statement.scope)
        return undefined
      }
      case 'if': {
        const branch = statement.branches.find(({ test }) => truth(evaluate(test, scope, runtime)))
        return this.run(branch === undefined ? statement.otherwise : branch.body, scope, out)
      }
      case 'for':
        return this.loop(statement, scope, out)
      case 'break':
      case 'continue':
        return statement.kind
      case 'macro':
        scope.write(statement.variable, this.macro(statement.macro, statement.variable.name, scope))
        return undefined
      case 'call': {
        const args = evaluateArguments(statement.call.args, scope, runtime)
        if (args.named.has('caller')) throw new TemplateError('keyword argument repeated: caller')
        const caller = this.macro(statement.macro, null, scope)
        const named = new Map([...args.named, ['caller', caller as Value]])
        const callee = evaluate(statement.call.callee, scope, runtime)
        out.write(str(runtime.call(callee, { positional: args.positional, named }), runtime.meter))
        return undefined
      }
      case 'filter-block': {
        const { text, ending } = this.collect(statement.body, scope, statement)
        if (ending !== undefined) return ending
        out.write(str(filterText(statement.filter, text, scope, runtime), runtime.meter))
        scope.leave(statement.scope)
        return undefined
      }
      case 'with': {
        this.enter(statement.scope, scope)
        for (const { target, value } of statement.targets) this.assign(target, evaluate(value, scope, runtime), scope)
        const ending = this.run(statement.body, scope, out)
        if (ending === undefined) scope.leave(statement.scope)
        return ending
      }
      case 'generation': {
        const text = str(runtime.call(this.macro(statement.macro, null, scope), noArguments), runtime.meter)
        if (this.notesGenerations) out.writeGeneration(text)
        else out.write(text)
        return undefined
      }
    }
  }

  /** What a body writes, kept instead of written. */
  private collect(
    body: readonly Statement[],
    scope: Activation,
    { scope: own }: Extract<Statement, { kind: 'set-block' | 'filter-block' }>,
  ): { readonly text: string; readonly ending: Ending } {
    const kept = new Output(this.runtime.meter)
    this.enter(own, scope)
    const ending = this.runtime.meter.deeper(() => this.run(body, scope, kept))
    return { text: kept.text(), ending }
  }

  private macro(node: MacroNode, name: string | null, outer: Activation): Macro {
    return new Macro(node, name, outer, (activation) => {
      const { runtime } = this
      this.enter(node.scope, activation)
      for (const { variable, fallback } of node.parameters) {
        if (activation.has(variable.slot)) continue
        const value =
          fallback === undefined
            ? new Undefined(`parameter '${variable.name}' was not provided`)
            : evaluate(fallback, activation, runtime)
        activation.write(variable, value)
      }
      const out = new Output(runtime.meter)
      this.run(node.body, activation, out)
      return out.text()
    })
  }

  private loop(node: ForNode, scope: Activation, out: Output): Ending {
    const items = evaluate(node.items, scope, this.runtime)
    if (!node.recursive) return this.iterate(node, items, scope, out, undefined, 0)
    const recurse: Recurse = (inner, depth) => {
      const own = new Activation(scope.context, node.bodyScope.level, scope)
      const kept = new Output(this.runtime.meter)
      this.iterate(node, inner, own, kept, recurse, depth)
      return kept.text()
    }
    out.write(recurse(items, 0))
    return undefined
  }

  private iterate(
    node: ForNode,
    items: Value,
    scope: Activation,
    out: Output,
    recurse: Recurse | undefined,
    depth: number,
  ): Ending {
    const { meter } = this.runtime
    const source = node.test === undefined ? items : new Iterate(this.chosen(node, items, scope))
    const loop = node.usesLoop ? new Loop(source, recurse, depth, meter) : undefined
    const iterator = loop ?? iterate(source)
    let completed = false
    for (let next = iterator.next(); next.done !== true; next = iterator.next()) {
      meter.step()
      this.assign(node.target, next.value, scope)
      if (loop !== undefined) scope.put(slotOf(node.bodyScope.level, 'loop'), loop)
      this.enter(node.bodyScope, scope)
      const start = out.length
      const ending = meter.deeper(() => this.run(node.body, scope, out))
      const index = this.watched.get(next.value)
      if (index !== undefined && out.length > start) out.visits.push({ index, start, end: out.length })
      if (ending === 'break') break
      // As in Jinja, a body that ends by `continue` does not keep the `else` from running.
      if (ending === undefined) completed = true
    }
    scope.leave(node.bodyScope)
    if (completed || node.otherwise.length === 0) return undefined
    this.enter(node.otherwiseScope, scope)
    const ending = this.run(node.otherwise, scope, out)
    scope.leave(node.otherwiseScope)
    return ending
  }

  /** The items of a loop with a condition: chosen one by one, as they are asked for. */
  private *chosen(node: ForNode, items: Value, outer: Activation): Generator<Value, void> {
    const scope = new Activation(outer.context, node.testScope.level, outer)
    this.enter(node.testScope, scope)
    for (const item of each(items, this.runtime.meter)) {
      this.assign(node.target, item, scope)
      if (node.test !== undefined && truth(evaluate(node.test, scope, this.runtime))) yield item
    }
  }

  private enter(scope: Scope, activation: Activation): void {
    this.runtime.meter.walk(scope.loads.length)
    activation.enter(scope)
  }

  private assign(target: Target, value: Value, scope: Activation): void {
    switch (target.kind) {
      case 'name':
        return scope.write(target.variable, value)
      case 'namespace': {
        const namespace = scope.read(target.variable)
        if (!(namespace instanceof Namespace)) throw new TemplateError('cannot assign attribute on non-namespace object')
        namespace.attributes.set(target.attribute, value)
        return undefined
      }
      case 'tuple': {
        const items: Value[] = []
        for (const item of each(value, this.runtime.meter)) {
          items.push(item)
          if (items.length > target.items.length)
            throw new TemplateError(`too many values to unpack (expected ${target.items.length})`)
        }
        if (items.length < target.items.length)
          throw new TemplateError(`not enough values to unpack (expected ${target.items.length}, got ${items.length})`)
        target.items.forEach((inner, index) => this.assign(inner, items[index] as Value, scope))
      }
    }
  }

  /** Jinja looks at what is assigned to before it looks at what is assigned. */
  private requireNamespaces(target: Target, scope: Activation): void {
    if (target.kind === 'tuple') target.items.forEach((item) => this.requireNamespaces(item, scope))
    else if (target.kind === 'namespace' && !(scope.read(target.variable) instanceof Namespace))
      throw new TemplateError('cannot assign attribute on non-namespace object')
  }
}
