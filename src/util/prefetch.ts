/** @file One step ahead of the consumer. */

/** Yields what `source` yields, asking for the next item while the consumer works on the one before. */
export async function* prefetch<T>(source: AsyncGenerator<T>): AsyncGenerator<T> {
  const ask = (): Promise<IteratorResult<T>> => {
    const promise = source.next()
    // An error surfaces when its item is awaited; a consumer that stops early must not meet it as unhandled.
    promise.catch(() => undefined)
    return promise
  }
  let pending = ask()
  try {
    for (;;) {
      const result = await pending
      if (result.done === true) return
      pending = ask()
      yield result.value
    }
  } finally {
    await pending.catch(() => undefined)
    await source.return(undefined).catch(() => undefined)
  }
}
