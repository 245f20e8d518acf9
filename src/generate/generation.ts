/** @file What a generation gives. */
import type { TokenLogprob } from './logprobs.js'

/** Why a text ended: an end token, a stop string, the number of tokens, or a signal. */
export type FinishReason = 'eos' | 'stop' | 'length' | 'aborted'

/** A generated text. */
export interface Generation {
  /** What was generated, without the prompt; empty if there is no tokenizer. */
  readonly text: string
  /** Generated tokens, without one that ended the text. */
  readonly ids: readonly number[]
  /**
   * Generated tokens by the time they took, reading the prompt included and compiling the graph not. Of a `ContinuousBatch` all the time
   * from `add` on counts, the wait for a place too: it is what the reader sees.
   */
  readonly tokensPerSecond: number
  /** Why it ended. */
  readonly finishReason: FinishReason
  /** With `logprobs`: of each of `ids`. */
  readonly logprobs?: readonly TokenLogprob[]
  /** With `logprobs`: of the end token or the token of a stop string that ended the text, where one did. */
  readonly endLogprob?: TokenLogprob
  /** With `promptLogprobs`: of each token of the prompt; null of the first, before which there is nothing. */
  readonly promptLogprobs?: readonly (TokenLogprob | null)[]
  /** Of a `ContinuousBatch` with `prefixBytes`: tokens of the prompt that were not read again, for another text began with them too. */
  readonly cachedTokens?: number
  /** With `numReturn` above 1, all texts that were sampled, in the order of their seeds; the first is the generation itself. */
  readonly samples?: readonly SampledText[]
  /** What a beam search found, `numReturn` texts or fewer, best first; the first is the generation itself. */
  readonly beams?: readonly BeamGeneration[]
}

/** A text among several of one prompt. */
export type SampledText = Pick<Generation, 'text' | 'ids' | 'finishReason' | 'logprobs' | 'endLogprob'>

/** A text that a beam search found. */
export interface BeamGeneration extends SampledText {
  /** Log probability over length^lengthPenalty; a token that ended the text counts in both. */
  readonly score: number
}

/** A step of a generation. */
export interface GenerateEvent {
  /** Which of several texts it belongs to, where `numReturn` asks for them; 0 otherwise. */
  readonly index: number
  /** The token; undefined where, at the end, text is left that was held back for a stop string or a whole character. */
  readonly id: number | undefined
  /** Text that became certain with this token; may be empty. */
  readonly text: string
  /** With `logprobs`: how likely the model found the token. */
  readonly logprob?: TokenLogprob
}
