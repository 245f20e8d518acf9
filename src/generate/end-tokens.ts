/** @file The tokens at which generation ends: those of a model, and those that an adapter learned to end with beside them. */
import { AdapterSet } from '../adapter/adapter-set.js'
import { Adapter } from '../adapter/adapter.js'
import { configuredEnds } from '../model/generation-config.js'
import type { Model } from '../model/model.js'

/**
 * Every token that ends a text: the tokenizer's and the model's, and those that the adapters in use have learned.
 * @param adapter of a set, that of a row of a batch: a name, or null for the base; what is active in it unless given
 */
export async function endTokensOf(subject: Model | Adapter | AdapterSet, adapter?: string | null): Promise<ReadonlySet<number>> {
  // Before anything is waited for: another adapter may be in use then.
  const learned = learnedEnds(subject, adapter)
  const model = subject instanceof Adapter || subject instanceof AdapterSet ? subject.model : subject
  const own = (await model.tokenizer())?.eosTokenIds ?? (await configuredEnds(model))
  return new Set([...own, ...learned])
}

function learnedEnds(subject: Model | Adapter | AdapterSet, adapter: string | null | undefined): readonly number[] {
  if (subject instanceof Adapter) return subject.endTokenIds
  if (!(subject instanceof AdapterSet) || adapter === null) return []
  const names = adapter === undefined ? subject.active : [adapter]
  return names.flatMap((name) => subject.adapter(name).endTokenIds)
}
