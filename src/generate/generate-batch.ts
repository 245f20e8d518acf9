/** @file Several prompts continued together, each with an adapter of its own if it names one. */
import type { Adapter } from '../adapter/adapter.js'
import { AdapterSet, modelOf, servingOf } from '../adapter/adapter-set.js'
import { subjectArgument } from '../adapter/subject-arguments.js'
import { InvalidOptionError } from '../errors.js'
import type { Model } from '../model/model.js'
import { checkArgument, listArgument } from '../util/arguments.js'
import { continuedPrompt, generationOf, perSecond, tokensOf } from './continued-prompt.js'
import { continueTexts } from './continue-texts.js'
import { DecodeSession } from './decode-session.js'
import { endTokensOf } from './end-tokens.js'
import { generateBeams } from './generate-beams.js'
import { resolveBatch, type BatchOptions, type BatchPrompt } from './generate-options.js'
import type { Generation } from './generation.js'
import { prepareText } from './prepare-text.js'

/**
 * Continues several prompts in one batch: the same tokens as `generate` gives for each alone, with fewer passes over the
 * weights. A row ends at its own end token, stop string or limit, or when its own signal says so, and then costs nothing more. What a
 * row says of its sampling, its length or its seed stands in place of the batch's options.
 *
 * @param subject with a set of adapters, each row may name one
 * @returns in the order of the prompts; `tokensPerSecond` is the batch's
 * @throws InvalidOptionError as `generate`, and for rows that name an adapter where there is no set of them
 * @example
 * const [a, b] = await generateBatch(adapters, [{ prompt: 'Roses', adapter: 'poet' }, { prompt: 'Whereas', adapter: null }])
 */
export async function generateBatch(
  subject: Model | Adapter | AdapterSet,
  givenPrompts: readonly BatchPrompt[],
  givenOptions: BatchOptions = {},
): Promise<Generation[]> {
  checkArgument(subject, subjectArgument, 'generateBatch')
  checkArgument(givenPrompts, listArgument, 'generateBatch', 'the prompts')
  const { rows: resolved, options } = resolveBatch(givenPrompts, givenOptions)
  if (resolved.length === 0) return []
  const model = modelOf(subject)
  const mixed = resolved.some(({ given }) => given.adapter !== undefined)
  if (mixed && !(subject instanceof AdapterSet))
    throw new InvalidOptionError('prompts can name adapters only with an AdapterSet; put the adapters into one')
  // Before anything is waited for: the next request may choose another adapter.
  const { parts, tensors } = mixed
    ? (subject as AdapterSet).servingRows(resolved.map(({ given: { adapter = null } }) => adapter))
    : servingOf(subject)
  const waiting = Promise.all(resolved.map(({ given: { adapter = null } }) => endTokensOf(subject, mixed ? adapter : undefined)))
  waiting.catch(() => undefined)
  const tokenizer = await model.tokenizer()
  const ends = await waiting
  const rows = resolved.map(({ given, options, signal }, i) => {
    return { options, settings: { ...prepareText(model, tokenizer, given, options, ends[i]!, `prompt ${i}`), signal } }
  })
  if (options.beams > 1) return generateBeams(model, { parts, tensors }, rows, options.signal)
  const prompts = rows.map(({ settings, options }) => continuedPrompt(settings, options))
  const longest = Math.max(...prompts.map(({ prompt, limit }) => prompt.length + limit))
  const session = await DecodeSession.for(model, parts, longest)
  const texts = continueTexts(session, prompts, tensors, options.signal, model.environment.now)
  let next = await texts.next()
  while (next.done !== true) next = await texts.next()
  const tokensPerSecond = perSecond(tokensOf(prompts), next.value)
  return prompts.map((prompt) => generationOf(prompt, tokensPerSecond))
}
