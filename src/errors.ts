/**
 * @file The error classes of lowrank: one for each different reaction of a caller.
 *
 * Every message says what is wrong, where, what was expected, what was found and what to do.
 */

/**
 * A text in which control characters, and those that turn the direction of writing, stand as codes (`\u001b`): names in
 * files of strangers must not steer a terminal. Line breaks and tabs stay.
 */
export const printable = (text: string): string =>
  text.replace(/[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu, (character) =>
    character === '\n' || character === '\t' ? character : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )

/** A message quotes what it found; of a value of megabytes its beginning is enough. */
const LONGEST_MESSAGE = 20_000

const shortened = (text: string): string =>
  text.length <= LONGEST_MESSAGE
    ? text
    : `${text.slice(0, LONGEST_MESSAGE / 2)} … (${text.length - LONGEST_MESSAGE} characters left out) … ${text.slice(-LONGEST_MESSAGE / 2)}`

/** What an error says. Anything can be thrown: WebAssembly throws numbers where it runs out of memory. */
export const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

/** Base class: a mistake in the input or the environment that the user can mend. */
export class LowrankError extends Error {
  /** @param message shown as it is, but for control characters and what is beyond 20,000 characters */
  constructor(message: string, options?: ErrorOptions) {
    super(printable(shortened(message)), options)
    this.name = new.target.name
  }
}

/** A model file or folder is damaged, incomplete or of an unknown kind. */
export class InvalidModelError extends LowrankError {}

/** An adapter folder is damaged, does not fit the model, or asks for maths we do not have. */
export class InvalidAdapterError extends LowrankError {}

/** A row, a data file or a tokenizer is not what training needs. */
export class InvalidDataError extends LowrankError {}

/** An option is out of range, unknown or contradicts another. */
export class InvalidOptionError extends LowrankError {}

/** Operators that have no gradient rule, lowering or shape inference: all of them in one message. */
export class UnsupportedOpError extends LowrankError {}

/** Tensor shapes that do not fit together or cannot be decided before the run. */
export class ShapeError extends LowrankError {}

/** Training had to stop: NaN or infinity in the loss or the gradients. */
export class TrainingError extends LowrankError {}

/** This process did nothing wrong, but another of its job did, which says what. */
export class PeerError extends TrainingError {}

/** The runtime refused a graph or a run. */
export class RuntimeError extends LowrankError {}

/** A file could not be read or written: missing, no permission, no space left. */
export class FileError extends LowrankError {}

/** The Hugging Face Hub could not be reached, or refused: no such repository, no permission, a broken download. */
export class HubError extends LowrankError {}
