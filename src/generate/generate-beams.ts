/** @file Beam searches as generations: from prompts to texts with their scores. */
import type { Serving } from '../adapters/serving/serving.js'
import type { Model } from '../model/model.js'
import { BeamSearch } from './beam-search.js'
import { continueBeams } from './continue-beams.js'
import { perSecond } from './continued-prompt.js'
import { DecodeSession } from './decode-session.js'
import type { BeamGeneration, Generation } from './generation.js'
import type { ResolvedBatchOptions } from './generate-options.js'
import { LoralibBeamSearch } from './loralib-beam-search.js'
import type { TextSettings } from './running-text.js'
import type { TextSearch } from './text-search.js'
import { TextStream } from './text-stream.js'

/** A prompt, and what holds for its search. */
export interface SearchedPrompt {
  readonly settings: TextSettings
  readonly options: ResolvedBatchOptions
}

/**
 * Searches for the continuations of all prompts together.
 * @returns in the order of the prompts; `tokensPerSecond` is that of all, counting the best text of each
 */
export async function generateBeams(
  model: Model,
  { parts, tensors }: Serving,
  prompts: readonly SearchedPrompt[],
  signal: AbortSignal | undefined,
): Promise<Generation[]> {
  const searches = prompts.map((given) => ({ ...given.settings, beams: searchFor(given) }))
  const longest = Math.max(...searches.map(({ prompt, limit }) => prompt.length + limit))
  const session = await DecodeSession.for(model, parts, longest)
  const spent = await continueBeams(session, searches, tensors, signal, model.environment.now)
  const found = prompts.map(({ settings, options }, i) =>
    searches[i]!.beams.results(options.numReturn).map(({ ids, score, reason }): BeamGeneration => {
      const text = streamOf(settings)
      for (const id of ids) text.push(id)
      text.finish()
      return { text: text.text, ids, score, finishReason: text.stopped ? 'stop' : reason }
    }),
  )
  const tokens = found.reduce((sum, [best]) => sum + best!.ids.length, 0)
  return found.map((beams) => {
    const { text, ids, finishReason } = beams[0]!
    return { text, ids, tokensPerSecond: perSecond(tokens, spent), finishReason, beams }
  })
}

function searchFor({ settings, options }: SearchedPrompt): TextSearch {
  const { prompt, limit, ends, stops } = settings
  if (options.beamStyle === 'loralib') return new LoralibBeamSearch({ ...options, limit, ends })
  const text = stops.texts.length === 0 ? undefined : streamOf(settings)
  return new BeamSearch({ ...options, prompt, limit, ends, stops: stops.tokens, text })
}

const streamOf = ({ decoder, prompt, stops }: TextSettings): TextStream => new TextStream(decoder, prompt, stops.texts)
