/** @file What is asked of a continuous batch, made ready: tokens, ends, limits. */
import type { Adapter } from '../adapter/adapter.js'
import { AdapterSet, modelOf } from '../adapter/adapter-set.js'
import type { Model } from '../model/model.js'
import { InvalidOptionError } from '../errors.js'
import { pickKeys } from '../util/option-keys.js'
import { resolveOptions, type OptionTable } from '../util/option-table.js'
import { beamOptionTable, type BeamOptions } from './beam-options.js'
import type { TextBeginning } from './continued-text.js'
import { endTokensOf } from './end-tokens.js'
import { promptIds, stopStrings } from './generate.js'
import { batchOptionTable, batchPromptTable, resolveBatchOptions, type BatchPrompt, type GenerateOptions } from './generate-options.js' // prettier-ignore
import { TextStream } from './text-stream.js'

/** A text to be written: exactly one of `prompt`, `messages` and `inputIds`, and how. Beam searches do not join a batch. */
export interface ContinuousPrompt extends Omit<GenerateOptions, keyof BeamOptions>, Pick<BatchPrompt, 'adapter'> {}

const table = { ...batchOptionTable, ...batchPromptTable } as const satisfies OptionTable<ContinuousPrompt & BeamOptions>

/** @throws InvalidOptionError for options out of range, an unknown adapter or a prompt that fills the model's positions */
export async function continuedPrompt(subject: Model | Adapter | AdapterSet, given: ContinuousPrompt): Promise<TextBeginning> {
  resolveOptions(table, given, 'ContinuousBatch.add')
  const beams = (Object.keys(given) as (keyof ContinuousPrompt)[]).find((name) => name in beamOptionTable)
  if (beams !== undefined)
    throw new InvalidOptionError(`${beams} is for a beam search, which does not join a batch; use generate`)
  const options = resolveBatchOptions(pickKeys(given, batchOptionTable))
  const { adapter = null } = given
  if (!(subject instanceof AdapterSet) && given.adapter !== undefined)
    throw new InvalidOptionError('a text can name an adapter only with an AdapterSet; put the adapters into one')
  if (adapter !== null) (subject as AdapterSet).adapter(adapter)
  const ends = endTokensOf(subject, subject instanceof AdapterSet ? adapter : undefined)
  const model = modelOf(subject)
  const tokenizer = await model.tokenizer()
  const prompt = promptIds(model, tokenizer, given)
  const room = model.maxPositions - prompt.length
  if (room < 1)
    throw new InvalidOptionError(
      `the prompt has ${prompt.length} tokens, but the model has only ${model.maxPositions} positions; shorten it`,
    )
  const stops = stopStrings(model, tokenizer, options)
  return {
    ...{ prompt, adapter, options, stops: stops.tokens, limit: Math.min(options.maxNewTokens, room) },
    stream: new TextStream(tokenizer ?? { decode: () => '' }, prompt, stops.texts),
    ends: new Set([...(await ends), ...(options.eosTokenIds ?? [])]),
  }
}
