/** @file A template as a tree. */
import type { Operator } from './operators.js'
import type { Value } from './values.js'

/** A variable of Jinja belongs to the scope that assigns it; which one that is, is known before anything runs. */
export interface Variable {
  readonly name: string
  /** Set by `resolveNames`: the level of the scope it lives in, and the name of its place there. */
  level: number
  slot: string
}

export interface CallArguments {
  readonly positional: readonly Expression[]
  readonly named: readonly (readonly [name: string, value: Expression])[]
  /** `*items` */
  readonly rest: Expression | undefined
  /** `**mapping` */
  readonly namedRest: Expression | undefined
}

export type Expression =
  | { readonly kind: 'constant'; readonly value: Value }
  | { readonly kind: 'name'; readonly variable: Variable }
  | { readonly kind: 'list' | 'tuple'; readonly items: readonly Expression[] }
  | { readonly kind: 'dict'; readonly entries: readonly (readonly [Expression, Expression])[] }
  | { readonly kind: 'and' | 'or'; readonly left: Expression; readonly right: Expression }
  | { readonly kind: 'not'; readonly value: Expression }
  | { readonly kind: 'sign'; readonly sign: '+' | '-'; readonly value: Expression }
  | { readonly kind: 'binary'; readonly operator: Operator; readonly left: Expression; readonly right: Expression }
  | { readonly kind: 'concat'; readonly items: readonly Expression[] }
  | { readonly kind: 'compare'; readonly first: Expression; readonly rest: readonly (readonly [operator: string, Expression])[] }
  | { readonly kind: 'if'; readonly test: Expression; readonly then: Expression; readonly otherwise: Expression | undefined }
  | { readonly kind: 'attribute'; readonly value: Expression; readonly name: string }
  | { readonly kind: 'item'; readonly value: Expression; readonly key: Expression }
  | { readonly kind: 'slice'; readonly value: Expression; readonly bounds: readonly (Expression | undefined)[] }
  | { readonly kind: 'call'; readonly callee: Expression; readonly args: CallArguments }
  | FilterExpression
  | {
      readonly kind: 'test'
      readonly name: string
      readonly value: Expression
      readonly args: CallArguments
      readonly line: number
    }

/** Without a value it takes what a block wrote. */
export interface FilterExpression {
  readonly kind: 'filter'
  readonly name: string
  readonly value: Expression | undefined
  readonly args: CallArguments
  readonly line: number
}

/** What an assignment may assign to. */
export type Target =
  | { readonly kind: 'name'; readonly variable: Variable }
  | { readonly kind: 'tuple'; readonly items: readonly Target[] }
  /** `{% set ns.name = … %}` */
  | { readonly kind: 'namespace'; readonly variable: Variable; readonly attribute: string }

/** Where a scope takes the value of a variable from when it is entered. */
export interface Load {
  readonly name: string
  readonly slot: string
  /** The template's variables; the variable of an outer scope; or nowhere: undefined until it is assigned. */
  readonly from: 'context' | 'nowhere' | { readonly level: number; readonly slot: string }
}

/** A stretch of the template with variables of its own. */
export interface Scope {
  level: number
  loads: readonly Load[]
}

export interface MacroNode {
  readonly parameters: readonly { readonly variable: Variable; readonly fallback: Expression | undefined }[]
  readonly body: readonly Statement[]
  readonly scope: Scope
  /** Which of the special variables the body asks for. */
  uses: { caller: boolean; kwargs: boolean; varargs: boolean }
  readonly line: number
}

export interface ForNode {
  readonly kind: 'for'
  readonly target: Target
  readonly items: Expression
  readonly test: Expression | undefined
  readonly body: readonly Statement[]
  readonly otherwise: readonly Statement[]
  readonly recursive: boolean
  readonly bodyScope: Scope
  readonly testScope: Scope
  readonly otherwiseScope: Scope
  /** Whether the body asks for `loop`. */
  usesLoop: boolean
  readonly line: number
}

export type Statement =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'output'; readonly value: Expression }
  | { readonly kind: 'set'; readonly target: Target; readonly value: Expression }
  | {
      readonly kind: 'set-block'
      readonly target: Target
      readonly filter: FilterExpression | undefined
      readonly body: readonly Statement[]
      readonly scope: Scope
    }
  | {
      readonly kind: 'if'
      readonly branches: readonly { readonly test: Expression; readonly body: readonly Statement[] }[]
      readonly otherwise: readonly Statement[]
    }
  | ForNode
  | { readonly kind: 'break' | 'continue'; readonly line: number }
  | { readonly kind: 'macro'; readonly variable: Variable; readonly macro: MacroNode }
  | { readonly kind: 'call'; readonly call: Extract<Expression, { kind: 'call' }>; readonly macro: MacroNode }
  | {
      readonly kind: 'filter-block'
      readonly filter: FilterExpression
      readonly body: readonly Statement[]
      readonly scope: Scope
    }
  | {
      readonly kind: 'with'
      readonly targets: readonly { readonly target: Target; readonly value: Expression }[]
      readonly body: readonly Statement[]
      readonly scope: Scope
    }
  | { readonly kind: 'generation'; readonly macro: MacroNode }
