/** @file Modules made of modules. */
import type { Value } from '../graph/types.js'
import type { ForwardBuilder } from './forward-builder.js'
import { Module } from './module.js'

/**
 * Modules one after the other. Given as a list, their paths are `0`, `1`, …; given as a record, its keys.
 * @example
 * new Sequential(new Linear(4, 8, { r: 2 }), new ReLU(), new Linear(8, 3))
 * new Sequential({ up: new Linear(4, 8), act: new ReLU() })
 */
export class Sequential extends Module {
  /** The modules by their names, in order. */
  readonly modules: Readonly<Record<string, Module>>

  /** Modules as arguments, or one record of them. */
  constructor(...modules: Module[] | [Readonly<Record<string, Module>>]) {
    super()
    const [first] = modules
    this.modules =
      first === undefined || first instanceof Module ? Object.fromEntries((modules as Module[]).entries()) : { ...first }
  }

  protected override childrenOf(name: string, value: unknown): [string, Module][] {
    return name === 'modules' ? Object.entries(this.modules) : super.childrenOf(name, value)
  }

  override forward(b: ForwardBuilder, x: Value): Value {
    return Object.values(this.modules).reduce((value, module) => module.forward(b, value), x)
  }
}

/** x + inner(x); `shortcut` replaces the first x where shapes differ. */
export class Residual extends Module {
  /** A branch, and what stands beside it. */
  constructor(
    /** The branch. */
    readonly inner: Module,

    /** In place of x itself. */
    readonly shortcut?: Module,
  ) {
    super()
  }

  override forward(b: ForwardBuilder, x: Value): Value {
    return b.add(this.shortcut === undefined ? x : this.shortcut.forward(b, x), this.inner.forward(b, x))
  }
}

/** A function of values as a module: what has no state needs no class. */
export class Lambda extends Module {
  /** A module that emits what the function emits. */
  constructor(private readonly compute: (b: ForwardBuilder, ...inputs: Value[]) => Value) {
    super()
  }

  override forward(b: ForwardBuilder, ...inputs: Value[]): Value {
    return this.compute(b, ...inputs)
  }
}
