/** @file What the hub calls a repository. */

/** A word of such a name, as a regular expression. */
export const HUB_WORD = '[A-Za-z0-9][A-Za-z0-9._-]*'

const NAME = new RegExp(`^${HUB_WORD}/${HUB_WORD}$`)

/**
 * Whether a text can be a repository of the hub, `owner/name`; a folder may be called so too. The hub itself forbids double
 * hyphens and dots, which would also be ambiguous in the names of its cache's folders.
 */
export const isHubName = (text: string): boolean => NAME.test(text) && !text.includes('--') && !text.includes('..')
