/** @file Adapters that a command names, each with a name of its own or one without. */
import type { Adapter, AdapterSet, Model } from '../index.js'
import type { Output } from './flags.js'
import { library, openAdapter } from './sources.js'
import { UsageError } from './usage-error.js'

/** A folder or hub id that is to be called by a name. A path with a folder in front (`./a=b`) is never taken for one. */
export const NAMED = /^([\w.-]+)=(.+)$/

/** @throws UsageError for several without names, and for names beside none */
export function checkAdapterNames(given: readonly string[]): void {
  const bare = given.filter((each) => !NAMED.test(each))
  if (bare.length > 1 || (bare.length === 1 && given.length > 1))
    throw new UsageError(`--adapter ${bare[0]!} needs a name beside others: --adapter NAME=${bare[0]!}.`)
  const names = given.map((each) => NAMED.exec(each)?.[1])
  const twice = names.find((name, i) => name !== undefined && names.indexOf(name) !== i)
  if (twice !== undefined) throw new UsageError(`--adapter names ${twice} twice.`)
}

/** An adapter without the name that it may have. */
export const unnamed = (given: string): string => NAMED.exec(given)?.[2] ?? given

/** The model, an adapter on it, or a set of those with names, none of which is active. */
export async function openNamedAdapters(
  model: Model,
  given: readonly string[],
  output: Output,
): Promise<Model | Adapter | AdapterSet> {
  const [first] = given
  if (first === undefined) return model
  if (!NAMED.test(first)) return openAdapter(model, first, output)
  const { AdapterSet } = await library()
  let set: AdapterSet | undefined
  for (const each of given) {
    const [, name, source] = NAMED.exec(each)!
    // One that brings a head or an order of layers stands on a model of its own, on which the others are opened.
    const adapter = await openAdapter(set?.model ?? model, source!, output)
    set ??= new AdapterSet(adapter.model)
    await set.add(name!, adapter)
  }
  return set!
}
