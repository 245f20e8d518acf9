/** @file Which of some special names a body reads before it assigns them. */
import type { Expression, MacroNode, Statement, Target } from './ast.js'
import { visitNames } from './symbols.js'

/** Of these names, those that are read and not assigned before, in the order of the text. */
export function findUndeclared(body: readonly Statement[], names: readonly string[]): ReadonlySet<string> {
  const left = new Set(names)
  const found = new Set<string>()
  const reads = (expression: Expression | undefined): void => {
    if (expression !== undefined) visitNames(expression, ({ name }) => left.has(name) && found.add(name))
  }
  const assigns = (target: Target): void => {
    if (target.kind === 'tuple') target.items.forEach(assigns)
    else if (target.kind === 'name') left.delete(target.variable.name)
  }
  const macro = ({ parameters, body: inner }: MacroNode): void => {
    parameters.forEach(({ variable }) => left.delete(variable.name))
    parameters.forEach(({ fallback }) => reads(fallback))
    visit(inner)
  }
  const visit = (statements: readonly Statement[]): void => {
    for (const statement of statements) {
      switch (statement.kind) {
        case 'output':
          reads(statement.value)
          break
        case 'set':
          assigns(statement.target)
          reads(statement.value)
          break
        case 'set-block':
          assigns(statement.target)
          reads(statement.filter)
          visit(statement.body)
          break
        case 'if':
          statement.branches.forEach((branch) => {
            reads(branch.test)
            visit(branch.body)
          })
          visit(statement.otherwise)
          break
        case 'for':
          assigns(statement.target)
          reads(statement.items)
          visit(statement.body)
          visit(statement.otherwise)
          reads(statement.test)
          break
        case 'call':
          reads(statement.call)
          macro(statement.macro)
          break
        case 'macro':
        case 'generation':
          macro(statement.macro)
          break
        case 'filter-block':
          visit(statement.body)
          reads(statement.filter)
          break
        case 'with':
          statement.targets.forEach(({ target }) => assigns(target))
          statement.targets.forEach(({ value }) => reads(value))
          visit(statement.body)
      }
    }
  }
  visit(body)
  return found
}

/** Whether a variable of this name is assigned anywhere within. */
export function assignsTo(name: string, statements: readonly Statement[]): boolean {
  const isIt = (target: Target): boolean =>
    target.kind === 'tuple' ? target.items.some(isIt) : target.kind === 'name' && target.variable.name === name
  return statements.some((statement) => {
    switch (statement.kind) {
      case 'set':
        return isIt(statement.target)
      case 'set-block':
        return isIt(statement.target) || assignsTo(name, statement.body)
      case 'if':
        return statement.branches.some(({ body }) => assignsTo(name, body)) || assignsTo(name, statement.otherwise)
      case 'for':
        return isIt(statement.target) || assignsTo(name, statement.body) || assignsTo(name, statement.otherwise)
      case 'macro':
      case 'call':
      case 'generation':
        return assignsTo(name, statement.macro.body)
      case 'filter-block':
      case 'with':
        return assignsTo(name, statement.body)
      default:
        return false
    }
  })
}
