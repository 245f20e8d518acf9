/** @file Variables while a template runs. */
import type { Load, Scope, Variable } from './ast.js'
import { Undefined, type Value } from './values.js'

/**
 * The variables of one run of the template, of a macro or of a recursive loop, by their slots. Scopes within share it, as
 * they share a function in what Jinja compiles to; so a macro sees what the loop around it last assigned.
 */
export class Activation {
  private readonly values = new Map<string, Value>()

  /**
   * @param context the template's variables
   * @param base the level of the outermost scope that lives here; those below live in `outer`
   */
  constructor(
    readonly context: ReadonlyMap<string, Value>,
    private readonly base: number,
    private readonly outer: Activation | undefined,
  ) {}

  /** The value of a variable: undefined in Jinja's sense where it has none. */
  read(variable: Variable): Value {
    const value = this.find(variable.level, variable.slot)
    return value === undefined ? new Undefined(`'${variable.name}' is undefined`) : value
  }

  write(variable: Variable, value: Value): void {
    this.values.set(variable.slot, value)
  }

  /** Gives a parameter its value; without one it stays missing. */
  put(slot: string, value: Value): void {
    this.values.set(slot, value)
  }

  has(slot: string): boolean {
    return this.values.has(slot)
  }

  private find(level: number, slot: string): Value | undefined {
    return level >= this.base || this.outer === undefined ? this.values.get(slot) : this.outer.find(level, slot)
  }

  /** Enters a scope: its variables begin as those outside. */
  enter(scope: Scope): void {
    for (const load of scope.loads) this.load(load)
  }

  private load({ name, slot, from }: Load): void {
    const value = from === 'nowhere' ? undefined : from === 'context' ? this.context.get(name) : this.find(from.level, from.slot)
    if (value === undefined) this.values.delete(slot)
    else this.values.set(slot, value)
  }

  /** Leaves a scope: its variables are no more. */
  leave(scope: Scope): void {
    for (const { slot } of scope.loads) this.values.delete(slot)
  }
}
