/** @file What was typed, ready to be typed again. */

/** What a shell takes as it is. */
const PLAIN = /^[\w@%+=:,./-]+$/

const quoted = (argument: string): string => (PLAIN.test(argument) ? argument : `'${argument.replaceAll("'", String.raw`'\''`)}'`)

/** Access tokens of services by how they begin, passwords in addresses, and what is called a secret: each with what stays of it. */
const SECRETS: readonly (readonly [RegExp, string])[] = [
  [/\b(hf|ghp|sk|xox[abp])[_-][\w-]{8,}/g, '$1_…'],
  [/:\/\/[^/@\s]+@/g, '://…@'],
  [/\b([\w-]*(?:token|secret|password|passwd|api[_-]?key))=[^&\s]+/gi, '$1=…'],
]

const withoutSecrets = (argument: string): string =>
  SECRETS.reduce((text, [secret, instead]) => text.replace(secret, instead), argument)

/** A command line for a shell, each argument quoted where it must be. Secrets, which cards and logs would show, are left out. */
export const commandLine = (args: readonly string[]): string =>
  ['lowrank', ...args].map((argument) => quoted(withoutSecrets(argument))).join(' ')
