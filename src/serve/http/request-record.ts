/** @file What is known of a request when it is done: a line of the log. */

/** A request and its answer, as a log tells them. Texts of prompts and answers are never in it. */
export interface RequestRecord {
  /** When it came, ISO 8601. */
  readonly time: string
  /** The header x-request-id of the answer. */
  readonly id: string
  /** GET or POST. */
  readonly method: string
  /** The route that answered, `/v1/models/{model}`; what was asked for where there is none. */
  readonly path: string
  /** Status of the answer. */
  status: number
  /** Milliseconds from the headers to the last byte of the answer. */
  milliseconds: number
  /** Which API key was shown: `key-1`. */
  key?: string
  /** Adapters that answered, none for the base model alone. */
  adapters?: readonly string[]
  /** Whether the answer was streamed. */
  stream?: true
  /** Texts that were asked for. */
  texts?: number
  /** Tokens that were read. */
  promptTokens?: number
  /** Those of them that had been read before. */
  cachedTokens?: number
  /** Tokens that were written. */
  completionTokens?: number
  /** Milliseconds to the first token. */
  firstTokenMilliseconds?: number
  /** Whether the client left before the end. */
  aborted?: true
  /** What the client was told, or of a mistake of ours what it was. */
  error?: string
}
