/** @file The tokens at which generation ends: those of a model, and those that an adapter learned to end with beside them. */
import { AdapterSet } from '../adapter/adapter-set.js'
import { Adapter } from '../adapter/adapter.js'
import { scaledAdapters, type RowAdapters } from '../adapter/row-adapters.js'
import { configuredEnds } from '../model/generation-config.js'
import type { Model } from '../model/model.js'

/**
 * Every token that ends a text: the tokenizer's and the model's, and those that the adapters in use have learned.
 * @param row of a set, the adapters of a row of a batch, or null for the base; what is active in it unless given
 */
export async function endTokensOf(subject: Model | Adapter | AdapterSet, row?: RowAdapters): Promise<ReadonlySet<number>> {
  // Before anything is waited for: another adapter may be in use then.
  const learned = learnedEnds(subject, row)
  const model = subject instanceof Adapter || subject instanceof AdapterSet ? subject.model : subject
  const own = (await model.tokenizer())?.eosTokenIds ?? (await configuredEnds(model))
  return new Set([...own, ...learned])
}

function learnedEnds(subject: Model | Adapter | AdapterSet, row: RowAdapters | undefined): readonly number[] {
  if (subject instanceof Adapter) return subject.endTokenIds
  if (!(subject instanceof AdapterSet)) return []
  const names = row === undefined ? subject.active : scaledAdapters(row).map(({ name }) => name)
  return names.flatMap((name) => subject.adapter(name).endTokenIds)
}
