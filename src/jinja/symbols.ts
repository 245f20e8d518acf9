/**
 * @file Which variables a scope has and where their values come from, by the rules of Jinja's own `idtracking`: a name that
 * is assigned in a scope belongs to it, and begins as a copy of the outer one.
 */
import type { Expression, Load, Statement, Target } from './ast.js'

/** The place of a name in the scopes of one level. */
export const slotOf = (level: number, name: string): string => `${level}:${name}`

export class Symbols {
  readonly level: number
  private refs = new Set<string>()
  private loads = new Map<string, Load['from'] | 'parameter'>()
  private stores = new Set<string>()

  constructor(readonly parent: Symbols | undefined) {
    this.level = parent === undefined ? 0 : parent.level + 1
  }

  /** The level of the scope that a name belongs to; undefined where no scope knows it. */
  find(name: string): number | undefined {
    return this.refs.has(name) ? this.level : this.parent?.find(name)
  }

  /** What happens when the scope is entered. */
  entry(): readonly Load[] {
    const loads: Load[] = []
    for (const [name, from] of this.loads) if (from !== 'parameter') loads.push({ name, slot: slotOf(this.level, name), from })
    return loads
  }

  /** A name that whoever enters the scope gives a value. */
  parameter(name: string): void {
    this.stores.add(name)
    this.refs.add(name)
    this.loads.set(name, 'parameter')
  }

  load(name: string): void {
    if (this.find(name) !== undefined) return
    this.refs.add(name)
    this.loads.set(name, 'context')
  }

  store(name: string): void {
    this.stores.add(name)
    if (this.refs.has(name)) return
    this.refs.add(name)
    this.loads.set(name, this.outer(name) ?? 'nowhere')
  }

  private outer(name: string): Load['from'] | undefined {
    const level = this.parent?.find(name)
    return level === undefined ? undefined : { level, slot: slotOf(level, name) }
  }

  /** Runs visits in a copy of these symbols. */
  private branch(visit: (symbols: Symbols) => void): Symbols {
    const copy = new Symbols(this.parent)
    copy.refs = new Set(this.refs)
    copy.loads = new Map(this.loads)
    copy.stores = new Set(this.stores)
    visit(copy)
    return copy
  }

  /** What only some branches assign begins as what it was before. */
  private merge(branches: readonly Symbols[]): void {
    const stored = new Set(branches.flatMap((branch) => [...branch.stores]).filter((name) => !this.stores.has(name)))
    for (const branch of branches) {
      branch.refs.forEach((name) => this.refs.add(name))
      branch.loads.forEach((from, name) => this.loads.set(name, from))
      branch.stores.forEach((name) => this.stores.add(name))
    }
    for (const name of stored) this.loads.set(name, this.outer(name) ?? 'context')
  }

  statements(statements: readonly Statement[]): void {
    for (const statement of statements) this.statement(statement)
  }

  /** Notes the names of a statement, but not those within scopes of its own. */
  private statement(statement: Statement): void {
    switch (statement.kind) {
      case 'output':
        return this.expression(statement.value)
      case 'set':
        this.expression(statement.value)
        return this.target(statement.target)
      case 'set-block':
        return this.target(statement.target)
      case 'if':
        return this.branches(statement.branches, statement.otherwise)
      case 'for':
        return this.expression(statement.items)
      case 'macro':
        return this.store(statement.variable.name)
      case 'call':
        return this.expression(statement.call)
      case 'filter-block':
        return this.expression(statement.filter)
      case 'with':
        return statement.targets.forEach(({ value }) => this.expression(value))
      default:
        return undefined
    }
  }

  private branches([first, ...others]: Extract<Statement, { kind: 'if' }>['branches'], otherwise: readonly Statement[]): void {
    if (first === undefined) return
    this.expression(first.test)
    this.merge([
      this.branch((symbols) => symbols.statements(first.body)),
      this.branch((symbols) => others.forEach((other) => symbols.branches([other], []))),
      this.branch((symbols) => symbols.statements(otherwise)),
    ])
  }

  target(target: Target, asParameter = false): void {
    if (target.kind === 'tuple') target.items.forEach((item) => this.target(item, asParameter))
    else if (target.kind === 'namespace') this.load(target.variable.name)
    else if (asParameter) this.parameter(target.variable.name)
    else this.store(target.variable.name)
  }

  expression(expression: Expression): void {
    visitNames(expression, (variable) => this.load(variable.name))
  }
}

type NameExpression = Extract<Expression, { kind: 'name' }>

/** The expressions within an expression, in the order in which Jinja visits them. */
export function children(expression: Expression): readonly Expression[] {
  const args = (call: Extract<Expression, { kind: 'call' | 'filter' | 'test' }>['args']): readonly Expression[] => [
    ...call.positional,
    ...call.named.map(([, value]) => value),
    ...present([call.rest, call.namedRest]),
  ]
  switch (expression.kind) {
    case 'constant':
    case 'name':
      return []
    case 'list':
    case 'tuple':
    case 'concat':
      return expression.items
    case 'dict':
      return expression.entries.flat()
    case 'and':
    case 'or':
    case 'binary':
      return [expression.left, expression.right]
    case 'not':
    case 'sign':
    case 'attribute':
      return [expression.value]
    case 'compare':
      return [expression.first, ...expression.rest.map(([, value]) => value)]
    case 'if':
      return present([expression.test, expression.then, expression.otherwise])
    case 'item':
      return [expression.value, expression.key]
    case 'slice':
      return present([expression.value, ...expression.bounds])
    case 'call':
      return [expression.callee, ...args(expression.args)]
    case 'filter':
    case 'test':
      return present([expression.value, ...args(expression.args)])
  }
}

const present = (expressions: readonly (Expression | undefined)[]): readonly Expression[] =>
  expressions.filter((expression) => expression !== undefined)

/** Calls back for every variable that an expression reads. */
export function visitNames(expression: Expression, found: (variable: NameExpression['variable']) => void): void {
  if (expression.kind === 'name') found(expression.variable)
  else children(expression).forEach((child) => visitNames(child, found))
}
