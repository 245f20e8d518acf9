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
  private readonly users = new Set<() => Promise<void>>()

  /** Whether `dispose` was called: nothing can be run with it any more. */
  get disposed(): boolean {
    return this.disposal !== undefined
  }

  /**
   * Gives back what the runtime holds for it; what is running ends first, and a training run saves a checkpoint if it has a
   * folder. A second call waits for the first. Files stay as they are.
   * @example
   * await using model = await loadModel('./SmolLM2-135M')
   */
  dispose(): Promise<void> {
    return (this.disposal ??= Promise.resolve().then(() => this.end()))
  }

  private async end(): Promise<void> {
    try {
      await Promise.all([...this.users].map((end) => end()))
    } finally {
      await this.release()
    }
  }

  /**
   * Has something ended first when it is disposed of: what stands still between two calls and holds what would be lost.
   * @returns forgets it again
   */
  endBeforeDispose(end: () => Promise<void>): () => void {
    this.users.add(end)
    return () => {
      this.users.delete(end)
    }
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
    checkNotDisposed(this, what)
  }
}

/** @throws InvalidOptionError if it was disposed of */
export function checkNotDisposed({ disposed }: { readonly disposed: boolean }, what: string): void {
  if (disposed) throw new InvalidOptionError(`${what} was disposed and cannot be used any more; load it again`)
}

/** @throws InvalidOptionError if it was disposed of */
export const checkModelNotDisposed = (model: { readonly disposed: boolean; readonly path: string }): void =>
  checkNotDisposed(model, `the model ${model.path}`)
