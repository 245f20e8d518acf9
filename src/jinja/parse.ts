/** @file Statements: a template's source to its tree. */
import type { Expression, MacroNode, Scope, Statement, Target, Variable } from './ast.js'
import { unsupported } from './errors.js'
import { newVariable, parseExpression, parseFilter, parseItems, parsePrimary, parseTuple, WORDS } from './parse-expression.js'
import { TokenStream } from './token-stream.js'

/** Tags of Jinja that need other templates, or autoescaping. */
const OTHER_TAGS = new Set(['block', 'extends', 'include', 'import', 'from', 'autoescape'])

/** The statements of a template. @throws TemplateError with the line of what cannot be read */
export function parseTemplate(source: string): readonly Statement[] {
  const parser = new Parser(new TokenStream(source))
  return parser.template()
}

const newScope = (): Scope => ({ level: -1, loads: [] })

class Parser {
  constructor(private readonly stream: TokenStream) {}

  template(): readonly Statement[] {
    const body = this.body([])
    if (!this.stream.is('end')) throw this.stream.error(`unexpected ${this.stream.shown()}`)
    return body
  }

  /** Statements up to a tag of one of these names, which becomes the current token. */
  private body(ends: readonly string[]): Statement[] {
    const { stream } = this
    const statements: Statement[] = []
    for (;;) {
      if (stream.is('end')) {
        if (ends.length === 0) return statements
        throw stream.error(`Unexpected end of template; expected ${ends.join(' or ')}`)
      }
      if (stream.is('data')) statements.push({ kind: 'text', text: stream.next().value })
      else if (stream.is('open', '{{')) {
        stream.next()
        statements.push({ kind: 'output', value: parseTuple(stream) })
        stream.expect('close', '}}')
      } else {
        stream.expect('open', '{%')
        if (stream.isName(...ends)) return statements
        statements.push(...stream.nested(() => this.statement()))
        stream.expect('close', '%}')
      }
    }
  }

  /** The inside of a statement up to its end, whose name is stepped over. */
  private block(...ends: readonly string[]): { readonly body: readonly Statement[]; readonly end: string } {
    this.stream.skipOperator(':')
    this.stream.expect('close', '%}')
    const body = this.body(ends)
    return { body, end: this.stream.next().value }
  }

  private statement(): readonly Statement[] {
    const { stream } = this
    const { value: tag, line } = stream.expect('name')
    switch (tag) {
      case 'for':
        return [this.forLoop(line)]
      case 'if':
        return [this.condition()]
      case 'set':
        return [this.assignment()]
      case 'macro': {
        const variable = this.name()
        return [{ kind: 'macro', variable, macro: this.macro('endmacro', this.signature(), line) }]
      }
      case 'call':
        return [this.callBlock(line)]
      case 'filter': {
        const filter = parseFilter(stream, undefined, true)
        if (filter === undefined) throw stream.error('expected a filter')
        return [{ kind: 'filter-block', filter, body: this.block('endfilter').body, scope: newScope() }]
      }
      case 'with':
        return [this.withBlock()]
      case 'print':
        return this.print()
      case 'generation':
        return [{ kind: 'generation', macro: this.macro('endgeneration', [], line) }]
      case 'break':
      case 'continue':
        return [{ kind: tag, line }]
      default:
        if (OTHER_TAGS.has(tag)) throw unsupported(`line ${line}: the tag ${tag}`)
        throw stream.error(`Encountered unknown tag '${tag}'`, line)
    }
  }

  private forLoop(line: number): Statement {
    const { stream } = this
    const target = this.target({ endsAt: 'in' })
    stream.expect('name', 'in')
    const items = parseTuple(stream, { withIf: false, endsAt: 'recursive' })
    const test = stream.skipName('if') ? parseExpression(stream) : undefined
    const recursive = stream.skipName('recursive')
    const { body, end } = this.block('endfor', 'else')
    const otherwise = end === 'else' ? this.block('endfor').body : []
    const scopes = { bodyScope: newScope(), testScope: newScope(), otherwiseScope: newScope() }
    return { kind: 'for', target, items, test, body, otherwise, recursive, ...scopes, usesLoop: false, line }
  }

  private condition(): Statement {
    const branches: { readonly test: Expression; readonly body: readonly Statement[] }[] = []
    for (;;) {
      const test = parseTuple(this.stream, { withIf: false })
      const { body, end } = this.block('elif', 'else', 'endif')
      branches.push({ test, body })
      if (end !== 'elif') return { kind: 'if', branches, otherwise: end === 'else' ? this.block('endif').body : [] }
    }
  }

  private assignment(): Statement {
    const target = this.target({ withNamespace: true })
    if (this.stream.skipOperator('=')) return { kind: 'set', target, value: parseTuple(this.stream) }
    const filter = parseFilter(this.stream, undefined)
    return { kind: 'set-block', target, filter, body: this.block('endset').body, scope: newScope() }
  }

  private withBlock(): Statement {
    const { stream } = this
    const targets: { readonly target: Target; readonly value: Expression }[] = []
    while (!stream.is('close')) {
      if (targets.length > 0) stream.expect('operator', ',')
      const target = this.target({})
      stream.expect('operator', '=')
      targets.push({ target, value: parseExpression(stream) })
    }
    return { kind: 'with', targets, body: this.block('endwith').body, scope: newScope() }
  }

  private print(): readonly Statement[] {
    const outputs: Statement[] = []
    while (!this.stream.is('close')) {
      if (outputs.length > 0) this.stream.expect('operator', ',')
      outputs.push({ kind: 'output', value: parseExpression(this.stream) })
    }
    return outputs
  }

  private callBlock(line: number): Statement {
    const parameters = this.stream.isOperator('(') ? this.signature() : []
    const call = parseExpression(this.stream)
    if (call.kind !== 'call') throw this.stream.error('expected call', line)
    return { kind: 'call', call, macro: this.macro('endcall', parameters, line) }
  }

  private macro(end: string, parameters: MacroNode['parameters'], line: number): MacroNode {
    const uses = { caller: false, kwargs: false, varargs: false }
    return { parameters, body: this.block(end).body, scope: newScope(), uses, line }
  }

  private signature(): MacroNode['parameters'] {
    const { stream } = this
    const parameters: { readonly variable: Variable; readonly fallback: Expression | undefined }[] = []
    stream.expect('operator', '(')
    while (!stream.isOperator(')')) {
      if (parameters.length > 0) stream.expect('operator', ',')
      const variable = this.name()
      if (parameters.some((known) => known.variable.name === variable.name))
        throw stream.error(`duplicate argument '${variable.name}'`)
      const fallback = stream.skipOperator('=') ? parseExpression(stream) : undefined
      if (fallback === undefined && parameters.at(-1)?.fallback !== undefined)
        throw stream.error('non-default argument follows default argument')
      parameters.push({ variable, fallback })
    }
    stream.expect('operator', ')')
    return parameters
  }

  /** A name that is assigned to. */
  private name(): Variable {
    return this.variable(this.stream.expect('name').value)
  }

  private variable(name: string): Variable {
    if (Object.hasOwn(WORDS, name)) throw this.stream.error(`can't assign to '${name}'`)
    return newVariable(name)
  }

  private target({ endsAt, withNamespace = false }: { readonly endsAt?: string; readonly withNamespace?: boolean }): Target {
    const { items, isTuple } = parseItems(this.stream, endsAt, () => this.primaryTarget(withNamespace))
    const [first] = items
    if (isTuple) return { kind: 'tuple', items }
    if (first === undefined) throw this.stream.error(`Expected an expression, got ${this.stream.shown()}`)
    return first
  }

  private primaryTarget(withNamespace: boolean): Target {
    const { stream } = this
    const { value: name, type } = stream.current
    const next = stream.look()
    if (withNamespace && type === 'name' && next.type === 'operator' && next.value === '.') {
      stream.next()
      stream.next()
      return { kind: 'namespace', variable: this.variable(name), attribute: stream.expect('name').value }
    }
    return this.asTarget(parsePrimary(stream))
  }

  private asTarget(expression: Expression): Target {
    if (expression.kind === 'name') return { kind: 'name', variable: expression.variable }
    if (expression.kind === 'tuple') return { kind: 'tuple', items: expression.items.map((item) => this.asTarget(item)) }
    throw this.stream.error(`can't assign to '${expression.kind}'`)
  }
}
