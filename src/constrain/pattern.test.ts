/** @file Patterns against JavaScript's own: random texts of each alphabet, found by one where they are found by the other. */
import { describe, expect, it } from 'vitest'
import { Random } from '../util/rng.js'
import { insideString } from './characters.js'
import { formats } from './formats.js'
import { accepts } from './machine.js'
import { PatternError, patternInside } from './pattern.js'

const ALPHABET = ['a', 'b', 'c', 'A', '0', '7', ' ', '\n', '"', '\\', '-', '_', 'é', 'ß', '🙂', '\u2028', '\u0000', '.', 'x', 'y']

const texts = (seed: number, count: number, alphabet: readonly string[] = ALPHABET): readonly string[] => {
  const random = Random.derive(seed, 'texts')
  const below = (n: number): number => Math.floor(random.uniform() * n)
  return Array.from({ length: count }, () => Array.from({ length: below(7) }, () => alphabet[below(alphabet.length)]!).join(''))
}

describe('a pattern', () => {
  it.each([
    '',
    '^$',
    'a',
    '^a',
    'a$',
    '^a$',
    '^a|b$',
    '^(a|bc)*$',
    '^(?:ab?){1,2}c+?$',
    '^(?<name>a)+b*$',
    '[abc]{2}',
    '^[^abc]*$',
    '^[a-c0-9_-]+$',
    '^\\d\\D$',
    '^\\w+\\W?$',
    '^\\s|\\S$',
    '^.$',
    '^..$',
    '^[\\s\\S]$',
    '^[^"]*$',
    '^[\\]\\\\^-]*$',
    '^\\u{1F642}$',
    '^\\x61\\u0062$',
    '\\n',
    '^\\p{L}+$',
    '^\\P{Ll}*$',
    '^[\\p{Lu}\\d]+$',
    '^(a*)*$',
    '^(a|a)*b$',
    '^((a{0,2}){0,2}b){1,3}$',
    '^\\.$',
    '^a{0}b$',
    '^[]$',
    '^[^]$',
    '^(|a)$',
    'a||b',
    '\\/|\\^',
  ] as const)('%s', (source) => {
    // prettier-ignore
    const [inside, pattern] = [patternInside(source), new RegExp(source, 'u')]
    for (const text of ['', 'a', 'ab', 'abc', 'bc', '"', '\\', '🙂', 'ß', ...texts(7, 120)])
      expect([text, accepts(inside, insideString(text))]).toEqual([text, pattern.test(text)])
  })

  it.each([
    ['(', 'a "(" that nothing closes at character 1'],
    ['a)', 'a ")" that nothing opened at character 2'],
    ['[a', 'a "[" that nothing closes'],
    ['a{2,1}', 'a count whose end is before'],
    ['a{99999}', 'a count above 10000'],
    ['*', '"*" where a character is expected'],
    ['(a^)', 'an anchor "^" within the pattern'],
    ['(?<!a)b', 'a look around'],
    ['(a)\\1', 'a reference to a group'],
    ['\\p{Script=Greek}', 'an escape "\\p"'],
    ['[b-a]', 'a range without a first and a last character'],
    ['[\\d-z]', 'a range without'],
    ['a\\', 'a "\\" at the end'],
    ['\\ud83d', 'half a character'],
  ])('%s is refused', (source, message) => {
    expect(() => patternInside(source)).toThrow(PatternError)
    expect(() => patternInside(source)).toThrow(message)
  })
})

describe('formats', () => {
  it('are patterns that say the same in JavaScript, and dates are in the calendar', () => {
    for (const [name, source] of Object.entries(formats)) {
      const [inside, pattern] = [patternInside(source), new RegExp(source, 'u')]
      const alphabet = [...'0123456789abf:.-/TZPDYM@+% ', '25', '02-29', '::', 'http://']
      for (const text of texts(3, 100, alphabet))
        expect([name, text, accepts(inside, text)]).toEqual([name, text, pattern.test(text)])
    }
    const date = patternInside(formats['date']!)
    for (const year of [1900, 2000, 2023, 2024])
      for (let day = 1; day <= 31; day++)
        for (let month = 1; month <= 12; month++) {
          const text = `${year}-${String(month).padStart(2, '0')}-${String(day).padStart(2, '0')}`
          const exists = new Date(`${text}T00:00:00Z`).toISOString
            ?.call(new Date(Date.UTC(year, month - 1, day)))
            .startsWith(text)
          expect([text, accepts(date, text)]).toEqual([text, exists])
        }
  })
})
