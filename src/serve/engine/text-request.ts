/** @file What is asked of an engine, and what it gives. */
import type { ContinuousPrompt, Generation, PromptOption } from '../../public.js'

/** An adapter of a request, and how much its change counts. */
export interface UsedAdapter {
  /** By which it was loaded. */
  readonly name: string
  /** 1 is the adapter as it was trained, 0 as if it were not there. */
  readonly scale: number
}

/** How a text is written: the library's own options. */
export type TextRequestOptions = Omit<ContinuousPrompt, PromptOption | 'adapter' | 'signal'>

/** A text that is asked for. */
export interface TextRequest {
  /** Token ids. */
  readonly prompt: readonly number[]
  /** Which adapters, added up; none is the base model. */
  readonly adapters: readonly UsedAdapter[]
  /** How it is written. */
  readonly options: TextRequestOptions
  /** Whose request it is: keys take turns. */
  readonly key?: string
  /** Ends it at the next token. */
  readonly signal?: AbortSignal
  /** Milliseconds from now until which it must be done. */
  readonly timeout?: number
}

/** A text that was written. */
export interface TextResult extends Generation {
  /** Tokens of the prompt. */
  readonly promptTokens: number
  /** Those of them that had been read before, for another prompt of the same adapters. */
  readonly cachedTokens: number
}
