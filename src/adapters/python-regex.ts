/** @file Python's regular expressions in JavaScript: the common part translated, the rest refused, nothing guessed. */
import { InvalidOptionError } from '../errors.js'
import { linearMatcher } from './linear-match.js'
import { patternCost } from './pattern-cost.js'

/** Up to so many steps (a power of 2) a name is matched by backtracking: 16,000. */
const QUICK_STEPS = 14
/** Where there is no other way; a few million. */
const MOST_STEPS = 22

/** A pattern that is tested by following all its ways at once. What groups capture takes a backtracking match. */
class LinearRegExp extends RegExp {
  /** @param refusal what to throw where a backtracking match would take too long */
  constructor(
    regex: RegExp,
    private readonly matches: (text: string) => boolean,
    private readonly refusal: InvalidOptionError | undefined,
  ) {
    super(regex)
  }

  override test(text: string): boolean {
    return this.matches(text)
  }

  override exec(text: string): RegExpExecArray | null {
    if (!this.matches(text)) return null
    if (this.refusal !== undefined) throw this.refusal
    return super.exec(text)
  }
}

/** Escapes of letters that mean the same in both languages. */
const SAME_ESCAPES = 'dDwWsSbBnrtfv'

/**
 * Compiles a Python pattern (`re` module).
 *
 * Translated: `(?P<n>…)`, `(?P=n)`, `(?#…)`, `\A`, `\Z`, `{,n}`, `[]…]`, and the global flags i, s, m at the start.
 * @param anchor `match`: at the start of the text, as `re.match`; `fullmatch`: the whole text
 * @throws InvalidOptionError for a pattern that Python refuses, JavaScript cannot express or that may take exponential time
 */
export function pythonRegex(pattern: string, anchor: 'match' | 'fullmatch'): RegExp {
  const refuse = (what: string): InvalidOptionError =>
    new InvalidOptionError(`regular expression ${JSON.stringify(pattern)}: ${what}; write it in another way`)
  let flags = ''
  let rest = pattern
  const global = /^\(\?([a-zA-Z]+)\)/.exec(pattern)
  if (global !== null) {
    for (const flag of global[1]!) {
      // a and u say how \w treats letters outside ASCII; module names are ASCII.
      if (!'ismau'.includes(flag)) throw refuse(`flag (?${flag}) is not supported`)
      if ('ism'.includes(flag)) flags += flag
    }
    rest = pattern.slice(global[0].length)
  }
  const source = translate(rest, refuse)
  let regex: RegExp
  try {
    regex = new RegExp(anchor === 'fullmatch' ? `^(?:${source})$` : `^(?:${source})`, [...new Set(flags)].join(''))
  } catch (cause) {
    throw refuse((cause as Error).message.replace(/^Invalid regular expression: /, ''))
  }
  const { problem, steps } = patternCost(source)
  if (problem !== undefined) throw refuse(problem)
  if (steps <= QUICK_STEPS) return regex
  const tooLong = refuse(
    'its repetitions and choices multiply, and with lookaround, back-references or groups that are read it may take too long',
  )
  const matches = linearMatcher(source, regex.flags, anchor === 'fullmatch')
  if (matches !== undefined) return new LinearRegExp(regex, matches, steps > MOST_STEPS ? tooLong : undefined)
  if (steps > MOST_STEPS) throw tooLong
  return regex
}

function translate(pattern: string, refuse: (what: string) => InvalidOptionError): string {
  let result = ''
  let at = 0
  const take = (regex: RegExp): RegExpExecArray | undefined => {
    const match = new RegExp(regex.source, 'y')
    match.lastIndex = at
    const found = match.exec(pattern)
    if (found !== null) at += found[0].length
    return found ?? undefined
  }
  while (at < pattern.length) {
    let found: RegExpExecArray | undefined
    if (pattern[at] === '\\') result += escape(take(/\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|[1-9]\d?|[^])?/)![0], refuse, pattern)
    else if (pattern[at] === '[') result += characterClass()
    else if ((found = take(/\(\?P<([A-Za-z_]\w*)>/))) result += `(?<${found[1]!}>`
    else if ((found = take(/\(\?P=([A-Za-z_]\w*)\)/))) result += `\\k<${found[1]!}>`
    else if (take(/\(\?#[^)]*\)/)) continue
    else if ((found = take(/\(\?(?:[:=!]|<[=!])/))) result += found[0]
    else if ((found = take(/\(\?[^)]{0,12}/))) throw refuse(`"${found[0]}" is not supported`)
    else if ((found = take(/\{,(\d*)\}/))) result += `{0,${found[1]!}}`
    else if ((found = take(/(?:[*+?]|\{\d+(?:,\d*)?\})\+/)))
      throw refuse(`the possessive quantifier "${found[0]}" is not supported`)
    else result += pattern[at++]!
  }
  return result

  function characterClass(): string {
    const open = take(/\[\^?\]?/)![0]
    let text = open.replace(']', '\\]')
    while (at < pattern.length && pattern[at] !== ']') {
      if (pattern[at] === '\\') text += escape(take(/\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|[^])?/)![0], refuse, '')
      else text += pattern[at++]!
    }
    if (at >= pattern.length) throw refuse('a character class "[" is not closed')
    at++
    return `${text}]`
  }
}

function escape(text: string, refuse: (what: string) => InvalidOptionError, pattern: string): string {
  const letter = text[1]
  if (letter === undefined) throw refuse('it ends in a backslash')
  if (text === '\\A') return '(?<![^])'
  if (text === '\\Z') return '(?![^])'
  if (text.length === 2 && /[A-Za-z0]/.test(letter) && !SAME_ESCAPES.includes(letter))
    throw refuse(`the escape "${text}" is not supported`)
  if (/^\\[1-9]/.test(text)) {
    const groups = pattern.replace(/\\[^]/g, '').match(/\((?!\?)|\(\?P</g)?.length ?? 0
    if (Number(text.slice(1)) > groups) throw refuse(`"${text}" refers to a group that does not exist`)
  }
  return text
}
