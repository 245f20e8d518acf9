/// <reference lib="esnext.disposable" preserve="true" />
/** @file What holds memory of the runtime and gives it back: by `dispose()`, or at the end of a block by `using`. */
import { InvalidOptionError } from '../errors.js'

// Browsers that do not know them yet must not find a method called "undefined".
const disposeSymbol: typeof Symbol.dispose = Symbol.dispose ?? (Symbol.for('Symbol.dispose') as typeof Symbol.dispose)
const asyncDisposeSymbol: typeof Symbol.asyncDispose =
  Symbol.asyncDispose ?? (Symbol.for('Symbol.asyncDispose') as typeof Symbol.asyncDispose)

/** Something that holds memory of the runtime: a model, an adapter, a set of adapters. */
export abstract class DisposableResource {
  private disposal: Promise<void> | undefined

  /** Whether `dispose` was called: nothing can be run with it any more. */
  get disposed(): boolean {
    return this.disposal !== undefined
  }

  /**
   * Gives back what the runtime holds for it; what is running ends first. A second call waits for the first. Files stay as
   * they are.
   * @example
   * await using model = await loadModel('./SmolLM2-135M')
   */
  dispose(): Promise<void> {
    return (this.disposal ??= Promise.resolve().then(() => this.release()))
  }

  /** `using`: as `dispose`, which nobody waits for. */
  [disposeSymbol](): void {
    // There is nobody to tell: what was asked for is that nothing is held.
    this.dispose().catch(() => undefined)
  }

  /** `await using`: as `dispose`. */
  [asyncDisposeSymbol](): Promise<void> {
    return this.dispose()
  }

  /** What `dispose` does, once. */
  protected abstract release(): Promise<void>

  /** Refuses what comes too late. @throws InvalidOptionError after `dispose` */
  protected checkNotDisposed(what: string): void {
    if (this.disposed) throw new InvalidOptionError(`${what} was disposed and cannot be used any more; load it again`)
  }
}
