/** @file What a template cannot do; the caller says which template it was. */

/** A template that cannot be parsed, or that fails while it is rendered, in the words of Python's own error where it has one. */
export class TemplateError extends Error {
  override readonly name = 'TemplateError'
}

/** Something Python would do that is not done here: refused by name, never done differently. */
export const unsupported = (what: string): TemplateError => new TemplateError(`${what} is not supported in chat templates here`)
