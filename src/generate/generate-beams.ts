/** @file Beam searches as generations: from prompts to texts with their scores. */
import type { Serving } from '../adapters/serving/serving.js'
import type { Model } from '../model/model.js'
import type { Tokenizer } from '../data/tokenizer.js'
import { BeamSearch } from './beam-search.js'
import { continueBeams } from './continue-beams.js'
import { DecodeSession } from './decode-session.js'
import type { BeamGeneration, Generation } from './generation.js'
import type { ResolvedBatchOptions } from './generate-options.js'
import { LoralibBeamSearch } from './loralib-beam-search.js'
import { TextStream } from './text-stream.js'

/** What ends texts, and how tokens become text. */
export interface Endings {
  readonly tokenizer: Tokenizer | undefined
  /** Strings and special tokens that stop it. */
  readonly stops: { readonly texts: readonly string[]; readonly tokens: ReadonlySet<number> }
}

/** A prompt and the most tokens that may follow it. */
export interface BeamPrompt {
  readonly prompt: readonly number[]
  readonly limit: number
  /** Tokens that end its text. */
  readonly ends: ReadonlySet<number>
}

/**
 * Searches for the continuations of all prompts together.
 * @returns in the order of the prompts; `tokensPerSecond` is that of all, counting the best text of each
 */
export async function generateBeams(
  model: Model,
  { parts, tensors }: Serving,
  prompts: readonly BeamPrompt[],
  { tokenizer, stops }: Endings,
  options: ResolvedBatchOptions,
): Promise<Generation[]> {
  const stream = (prompt: readonly number[]): TextStream => new TextStream(tokenizer ?? { decode: () => '' }, prompt, stops.texts)
  const searches = prompts.map(({ prompt, limit, ends }) => {
    const text = stops.texts.length === 0 ? undefined : stream(prompt)
    const beams =
      options.beamStyle === 'loralib'
        ? new LoralibBeamSearch({ ...options, limit, ends })
        : new BeamSearch({ ...options, prompt, limit, ends, stops: stops.tokens, text })
    return { prompt, limit, beams }
  })
  const session = await DecodeSession.for(model, parts, Math.max(...prompts.map(({ prompt, limit }) => prompt.length + limit)))
  const spent = await continueBeams(session, searches, tensors, options.signal, model.environment.now)
  const found = searches.map(({ prompt, beams }) =>
    beams.results(options.numReturn).map(({ ids, score, reason }): BeamGeneration => {
      const text = stream(prompt)
      for (const id of ids) text.push(id)
      text.finish()
      return { text: text.text, ids, score, finishReason: text.stopped ? 'stop' : reason }
    }),
  )
  const tokens = found.reduce((sum, [best]) => sum + best!.ids.length, 0)
  return found.map((beams) => {
    const { text, ids, finishReason } = beams[0]!
    return { text, ids, tokensPerSecond: tokens / Math.max(1e-6, spent / 1000), finishReason, beams }
  })
}
