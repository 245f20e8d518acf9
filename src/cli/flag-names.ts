/**
 * @file Messages of the library in the words of the command line: it calls options by their names in the API, sometimes with
 * the flag behind (`maxLength (--max-length)`), and not every command has every flag.
 */
import { commonFlagsOf, type Command } from './flags.js'
import type { Flags } from './flag.js'

const kebab = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)

/** The message with the command's own flags; flags that it does not have are not named. */
export function inFlags(message: string, command: Pick<Command, 'flags' | 'without'>): string {
  const flags: Flags = { ...command.flags, ...commonFlagsOf(command) }
  const byOption = new Map(Object.entries(flags).map(([name, { option }]) => [option, name]))
  const flagOf = (word: string): string => byOption.get(word) ?? kebab(word)
  const has = (flag: string): boolean => Object.hasOwn(flags, flag)
  return message
    .replace(/("?)([A-Za-z]+)\1 \(--([a-z-]+)([^()]*)\)/g, (whole, quote: string, word: string, flag: string, rest: string) => {
      if (!has(flag)) return `${quote}${word}${quote}`
      return flagOf(word) === flag ? `--${flag}${rest}` : whole
    })
    .replace(/ \(--([a-z-]+)[^()]*\)/g, (whole, flag: string) => (has(flag) ? whole : ''))
    .replace(/"?\b([a-z]+[A-Z][A-Za-z]*)\b"?/g, (whole, word: string) => (has(flagOf(word)) ? `--${flagOf(word)}` : whole))
}
