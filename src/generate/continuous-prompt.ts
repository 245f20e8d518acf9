/** @file What is asked of a continuous batch, made ready: tokens, ends, limits. */
import type { Adapter } from '../adapter/adapter.js'
import { AdapterSet, modelOf } from '../adapter/adapter-set.js'
import type { RowAdapters } from '../adapter/row-adapters.js'
import { InvalidOptionError } from '../errors.js'
import type { Model } from '../model/model.js'
import { pickKeys } from '../util/option-keys.js'
import { resolveOptions, type OptionTable } from '../util/option-table.js'
import { snapshot } from '../util/snapshot.js'
import { beamOptionTable, type BeamOptions } from './beam-options.js'
import type { TextBeginning } from './continued-text.js'
import { endTokensOf } from './end-tokens.js'
import { batchOptionTable, batchPromptTable, resolveBatchOptions, type BatchPrompt } from './generate-options.js'
import { prepareText } from './prepare-text.js'

/** A text to be written: exactly one of `prompt`, `messages` and `inputIds`, and how. Beam searches do not join a batch. */
export type ContinuousPrompt = Omit<BatchPrompt, 'numReturn'>

const table = { ...batchOptionTable, ...batchPromptTable } as const satisfies OptionTable<BatchPrompt & BeamOptions>

/** @throws InvalidOptionError for options out of range, an unknown adapter or a prompt that fills the model's positions */
export async function continuousPrompt(subject: Model | Adapter | AdapterSet, asked: ContinuousPrompt): Promise<TextBeginning> {
  resolveOptions(table, asked, 'ContinuousBatch.add')
  // The tokenizer is waited for: what the caller changes meanwhile is no part of the call.
  const given = snapshot(asked)
  if ((given as BatchPrompt).numReturn !== undefined)
    throw new InvalidOptionError('numReturn asks for several texts, and each is one of a batch; add them with seeds of their own')
  const beams = (Object.keys(given) as (keyof ContinuousPrompt)[]).find((name) => name in beamOptionTable)
  if (beams !== undefined)
    throw new InvalidOptionError(`${beams} is for a beam search, which does not join a batch; use generate`)
  const options = resolveBatchOptions(pickKeys(given, batchOptionTable))
  const { adapter = null } = given
  if (!(subject instanceof AdapterSet) && given.adapter !== undefined)
    throw new InvalidOptionError('a text can name an adapter only with an AdapterSet; put the adapters into one')
  if (subject instanceof AdapterSet) checkServed(subject, adapter)
  const ends = endTokensOf(subject, subject instanceof AdapterSet ? adapter : undefined)
  ends.catch(() => undefined)
  const model = modelOf(subject)
  const settings = prepareText(model, await model.tokenizer(), given, options, await ends)
  return { adapter, seed: options.seed, settings: { ...settings, signal: options.signal } }
}

/** @throws InvalidOptionError for unknown or repeated names; InvalidAdapterError if two replace the same tensor */
function checkServed(set: AdapterSet, row: RowAdapters): void {
  if (!set.isMixable(row)) set.servingOne(row)
}
