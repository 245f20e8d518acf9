/** @file Macros, and the bodies of call blocks. */
import { Activation } from './activation.js'
import type { MacroNode } from './ast.js'
import { Dict } from './dict.js'
import { TemplateError } from './errors.js'
import { slotOf } from './symbols.js'
import { PyObject, Tuple, Undefined, type Arguments, type Runtime, type Value } from './values.js'

export class Macro extends PyObject {
  readonly typeName = 'Macro'
  private readonly names: readonly string[]

  /**
   * @param label what it is called; a call block has no name
   * @param outer where it was defined
   * @param render writes the body, whose parameters the activation holds
   */
  constructor(
    private readonly node: MacroNode,
    private readonly label: string | null,
    private readonly outer: Activation,
    private readonly render: (activation: Activation) => string,
  ) {
    super()
    this.names = node.parameters.map(({ variable }) => variable.name)
  }

  override repr(repr: (value: Value) => string): string {
    return `<Macro ${this.label === null ? 'anonymous' : repr(this.label)}>`
  }

  override attribute(name: string): Value | undefined {
    switch (name) {
      case 'name':
        return this.label
      case 'arguments':
        return new Tuple(this.names)
      case 'catch_kwargs':
        return this.node.uses.kwargs
      case 'catch_varargs':
        return this.node.uses.varargs
      case 'caller':
        return this.node.uses.caller
      case 'explicit_caller':
        return this.names.includes('caller')
      default:
        return undefined
    }
  }

  /** Takes arguments as Jinja's `Macro` does: by place, by name, then the special ones. */
  override readonly call = ({ positional, named }: Arguments, { meter }: Runtime): Value => {
    const { names } = this
    meter.walk(names.length + positional.length + named.size)
    const { uses, scope } = this.node
    const rest = new Map(named)
    const activation = new Activation(this.outer.context, scope.level, this.outer)
    const give = (name: string, value: Value): void => activation.put(slotOf(scope.level, name), value)
    const called = this.label === null ? 'None' : `'${this.label}'`
    names.forEach((name, index) => {
      const value = index < positional.length ? positional[index] : rest.get(name)
      if (index >= positional.length) rest.delete(name)
      if (value !== undefined) give(name, value)
    })
    if (uses.caller && !names.includes('caller')) {
      give('caller', rest.get('caller') ?? new Undefined('No caller defined'))
      rest.delete('caller')
    }
    if (uses.kwargs) give('kwargs', Dict.named(rest))
    else {
      if (rest.has('caller'))
        throw new TemplateError(`macro ${called} was invoked with two values for the special caller argument.`)
      for (const name of rest.keys()) throw new TemplateError(`macro ${called} takes no keyword argument '${name}'`)
    }
    if (uses.varargs) give('varargs', new Tuple(positional.slice(names.length)))
    else if (positional.length > names.length)
      throw new TemplateError(`macro ${called} takes not more than ${names.length} argument(s)`)
    return this.render(activation)
  }
}
