/** @file Gives every variable its scope, and refuses what Python would refuse before anything runs. */
import type { Expression, ForNode, MacroNode, Scope, Statement, Target, Variable } from './ast.js'
import { TemplateError, unsupported } from './errors.js'
import { filters } from './filters.js'
import { children, slotOf, Symbols } from './symbols.js'
import { tests } from './tests.js'
import { assignsTo, findUndeclared } from './undeclared.js'

/** What a template is made of once its names are known. */
export interface ResolvedTemplate {
  readonly body: readonly Statement[]
  readonly scope: Scope
  /** Whether it has `{% generation %}`. */
  readonly hasGenerations: boolean
}

/** Where a statement stands. */
interface Place {
  readonly symbols: Symbols
  /** Within an `if`, where a filter that does not exist only matters once it is called. */
  readonly soft: boolean
  readonly inLoop: boolean
}

/** Resolves all names. @throws TemplateError for what cannot be resolved, for filters and tests that do not exist, for a `break` outside of loops */
export function resolveNames(body: readonly Statement[]): ResolvedTemplate {
  return new Resolver().template(body)
}

class Resolver {
  private hasGenerations = false

  template(body: readonly Statement[]): ResolvedTemplate {
    if (findUndeclared(body, ['self']).size > 0) throw unsupported('the variable self')
    const scope: Scope = { level: 0, loads: [] }
    const symbols = new Symbols(undefined)
    symbols.statements(body)
    this.enter(scope, symbols)
    this.statements(body, { symbols, soft: false, inLoop: false })
    return { body, scope, hasGenerations: this.hasGenerations }
  }

  private enter(scope: Scope, symbols: Symbols): void {
    scope.level = symbols.level
    scope.loads = symbols.entry()
  }

  /** A scope within, with symbols of its own. */
  private inner(place: Place, scope: Scope, note: (symbols: Symbols) => void): Place {
    const symbols = new Symbols(place.symbols)
    note(symbols)
    this.enter(scope, symbols)
    return { symbols, soft: false, inLoop: place.inLoop }
  }

  private statements(statements: readonly Statement[], place: Place): void {
    for (const statement of statements) this.statement(statement, place)
  }

  private statement(statement: Statement, place: Place): void {
    switch (statement.kind) {
      case 'text':
        return
      case 'output':
        return this.expression(statement.value, place)
      case 'set':
        this.expression(statement.value, place)
        return this.target(statement.target, place)
      case 'set-block': {
        const within = this.inner(place, statement.scope, (symbols) => symbols.statements(statement.body))
        this.statements(statement.body, within)
        if (statement.filter !== undefined) this.expression(statement.filter, within)
        return this.target(statement.target, place)
      }
      case 'if': {
        const soft = { ...place, soft: true }
        for (const { test, body } of statement.branches) {
          this.expression(test, soft)
          this.statements(body, soft)
        }
        return this.statements(statement.otherwise, soft)
      }
      case 'for':
        return this.loop(statement, place)
      case 'break':
      case 'continue':
        if (!place.inLoop) throw new TemplateError(`line ${statement.line}: '${statement.kind}' outside loop`)
        return
      case 'macro':
        this.variable(statement.variable, place)
        return this.macro(statement.macro, place)
      case 'call':
        this.macro(statement.macro, place)
        return this.expression(statement.call, place)
      case 'generation':
        this.hasGenerations = true
        return this.macro(statement.macro, place)
      case 'filter-block': {
        const within = this.inner(place, statement.scope, (symbols) => {
          symbols.statements(statement.body)
          symbols.expression(statement.filter)
        })
        this.statements(statement.body, within)
        return this.expression(statement.filter, within)
      }
      case 'with': {
        const within = this.inner(place, statement.scope, (symbols) => {
          statement.targets.forEach(({ target }) => symbols.target(target, true))
          symbols.statements(statement.body)
        })
        for (const { target, value } of statement.targets) {
          this.target(target, within)
          this.expression(value, place)
        }
        return this.statements(statement.body, within)
      }
    }
  }

  private loop(node: ForNode, place: Place): void {
    if (assignsTo('loop', [node]))
      throw new TemplateError(`line ${node.line}: Can't assign to special loop variable in for-loop target`)
    node.usesLoop = node.recursive || findUndeclared(node.body, ['loop']).size > 0
    this.expression(node.items, place)
    const body = this.inner(place, node.bodyScope, (symbols) => {
      if (node.usesLoop) symbols.parameter('loop')
      symbols.target(node.target, true)
      symbols.statements(node.body)
    })
    const test = this.inner(place, node.testScope, (symbols) => {
      symbols.target(node.target, true)
      if (node.test !== undefined) symbols.expression(node.test)
    })
    const otherwise = this.inner(place, node.otherwiseScope, (symbols) => symbols.statements(node.otherwise))
    this.target(node.target, body)
    if (node.test !== undefined) this.expression(node.test, test)
    this.statements(node.body, { ...body, inLoop: true })
    // What recurs is a function of its own, which outer loops do not reach into.
    this.statements(node.otherwise, { ...otherwise, inLoop: place.inLoop && !node.recursive })
  }

  private macro(node: MacroNode, place: Place): void {
    const names = node.parameters.map(({ variable }) => variable.name)
    const asked = findUndeclared(node.body, ['caller', 'kwargs', 'varargs'])
    const explicit = node.parameters.find(({ variable }) => variable.name === 'caller')
    if (asked.has('caller') && explicit !== undefined && explicit.fallback === undefined)
      throw new TemplateError(`line ${node.line}: the special "caller" argument must be omitted or be given a default.`)
    node.uses = {
      caller: asked.has('caller'),
      kwargs: asked.has('kwargs') && !names.includes('kwargs'),
      varargs: asked.has('varargs') && !names.includes('varargs'),
    }
    const within = this.inner({ ...place, inLoop: false }, node.scope, (symbols) => {
      names.forEach((name) => symbols.parameter(name))
      for (const name of ['caller', 'kwargs', 'varargs'] as const)
        if (node.uses[name] && !names.includes(name)) symbols.parameter(name)
      for (const { fallback } of node.parameters) if (fallback !== undefined) symbols.expression(fallback)
      symbols.statements(node.body)
    })
    for (const { variable, fallback } of node.parameters) {
      this.variable(variable, within)
      if (fallback !== undefined) this.expression(fallback, within)
    }
    this.statements(node.body, within)
  }

  private target(target: Target, place: Place): void {
    if (target.kind === 'tuple') target.items.forEach((item) => this.target(item, place))
    else this.variable(target.variable, place)
  }

  private variable(variable: Variable, { symbols }: Place): void {
    const level = symbols.find(variable.name)
    // As Jinja itself, which does not look at the names in the filter of a set block.
    if (level === undefined) throw new TemplateError(`the name ${variable.name} cannot be resolved where it stands`)
    variable.level = level
    variable.slot = slotOf(level, variable.name)
  }

  private expression(expression: Expression, place: Place): void {
    if (expression.kind === 'name') return this.variable(expression.variable, place)
    const known = expression.kind === 'filter' ? filters : expression.kind === 'test' ? tests : undefined
    if (
      known !== undefined &&
      !place.soft &&
      (expression.kind === 'filter' || expression.kind === 'test') &&
      !known.has(expression.name)
    )
      throw new TemplateError(`line ${expression.line}: No ${expression.kind} named '${expression.name}'.`)
    const within = expression.kind === 'if' ? { ...place, soft: true } : place
    for (const child of children(expression)) this.expression(child, within)
  }
}
