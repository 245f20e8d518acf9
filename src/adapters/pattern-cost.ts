/**
 * @file Whether a regular expression can be matched in reasonable time. Adapters of strangers bring patterns, JavaScript
 * backtracks, and a match cannot be stopped: patterns that may take exponential time are refused before they run.
 */

/** Unbounded repetitions, each of which can multiply the time by the length of a name. Patterns of tools have up to five. */
const MAX_UNBOUNDED = 7

/** Choices, each of which can double the time. */
const MAX_CHOICES = 24

/** Longest pattern. */
const MAX_LENGTH = 20_000

interface Group {
  /** Whether it holds a repetition or alternatives. */
  ambiguous: boolean
  /** Where its present alternative begins. */
  start: number
  readonly alternatives: string[]
}

/** Alternatives that begin with different text cannot both match much; others are choices, each. */
function choicesOf({ alternatives }: Group): number {
  if (alternatives.length < 2) return 0
  const plain = alternatives.every((text) => /^(?:\w|\\\.|\^|\$|$)/.test(text))
  return plain && new Set(alternatives).size === alternatives.length ? 1 : alternatives.length
}

/** What a pattern may cost a matcher that backtracks. */
export interface PatternCost {
  /** Why it is refused, whoever matches it. */
  readonly problem?: string
  /** Binary logarithm of the steps that a name may take, roughly: repetitions share out its letters, choices double. */
  readonly steps: number
}

/** Length of a long module's name, in bits. */
const NAME_BITS = 6.5

/** @param source a valid pattern of JavaScript without flag `v` */
export function patternCost(source: string): PatternCost {
  const refused = (problem: string): PatternCost => ({ problem, steps: Infinity })
  if (source.length > MAX_LENGTH) return refused(`it has ${source.length} characters, more than ${MAX_LENGTH}`)
  const groups: Group[] = [{ ambiguous: false, start: 0, alternatives: [] }]
  let unbounded = 0
  let choices = 0
  /** The group that was closed just before, which a quantifier would repeat. */
  let closed: Group | undefined
  const tokens = /\\(?:k<\w+>|[^])|\[(?:\\[^]|[^\]\\])*\]|\((?:\?(?:[:=!]|<[=!]|<\w+>))?|\)|\||[*+?]|\{\d+(?:,\d*)?\}|[^]/g
  for (const { 0: token, index } of source.matchAll(tokens)) {
    const group = groups[groups.length - 1]!
    const most = /^[*+]$|^\{\d+,\}$/.test(token) ? Infinity : token === '?' ? 1 : /^\{\d/.test(token) ? Number(/(\d+)\}$/.exec(token)![1]) : undefined // prettier-ignore
    if (most !== undefined) {
      if (most > 1 && closed?.ambiguous === true)
        return refused(`"${token}" repeats a group that holds a repetition or alternatives, which can take forever`)
      if (most === Infinity) unbounded++
      else if (most !== Number(/^\{(\d+)/.exec(token)?.[1] ?? 0)) choices += Math.min(most, MAX_CHOICES)
      group.ambiguous = true
      closed = undefined
      continue
    }
    closed = undefined
    if (token.startsWith('(')) groups.push({ ambiguous: false, start: index + token.length, alternatives: [] })
    else if (token === '|') {
      group.alternatives.push(source.slice(group.start, index))
      group.start = index + 1
      group.ambiguous = true
    } else if (token === ')' && groups.length > 1) {
      group.alternatives.push(source.slice(group.start, index))
      choices += choicesOf(group)
      groups.pop()
      closed = group
      if (group.ambiguous) groups[groups.length - 1]!.ambiguous = true
    }
  }
  if (unbounded > MAX_UNBOUNDED) return refused(`it has ${unbounded} unbounded repetitions, more than ${MAX_UNBOUNDED}`)
  if (choices > MAX_CHOICES) return refused(`it has ${choices} choices, more than ${MAX_CHOICES}`)
  let steps = choices
  for (let i = 1; i <= unbounded; i++) steps += NAME_BITS - Math.log2(i)
  return { steps }
}
