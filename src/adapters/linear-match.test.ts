/**
 * @file Patterns matched in linear time find the names that JavaScript's own expressions find, and soon; others are left or
 * refused.
 */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { linearMatcher } from './linear-match.js'
import { pythonRegex } from './python-regex.js'

const names = (
  JSON.parse(readFileSync(new URL('../../test/fixtures/peft-matching/cases.json', import.meta.url), 'utf8')) as {
    names: string[]
  }
).names.concat(['', 'a', 'aa', 'ab', 'aab', 'aaaa', 'model', 'a.b', 'A', 'x y', 'layers.10', '_'])

describe('matching in linear time', () => {
  it.each([
    '.*q_proj',
    'q_proj',
    'a*',
    'a+b?',
    '(?:a|b)+',
    '(a|ab)(b|)',
    'a{2}',
    'a{1,3}',
    'a{2,}',
    'a{0,2}b',
    '[^.]*',
    '[a-z_]+',
    'model\\.layers\\.(?:[0-9]|1[0-5])\\.self_attn\\.(?:q|k|v|o)_proj',
    '.*\\.(\\d+)\\..*',
    '\\w+',
    '\\W*',
    '.*\\bmlp\\b.*',
    '.*\\Bproj',
    '(?<name>q|k)_proj',
    '.*?(?:self_attn|mlp).*?(?:q_proj|up_proj).*?',
    '(?:.*\\.)?q_proj$',
    '^model.*',
    '',
    'x|',
    '|q_proj',
    '(?:(?:a|b)?){3}',
    '[^\\W\\d_]+',
    '\\x61+',
    '\\u0061{2}',
    '(?<![^])model(?![^])',
    '.+\\.1[01]?\\..*',
  ])('%s: as RegExp', (source) => {
    for (const flags of ['', 'i', 's'])
      for (const whole of [true, false]) {
        const regex = new RegExp(whole ? `^(?:${source})$` : `^(?:${source})`, flags)
        const matches = linearMatcher(source, flags, whole)!
        expect(names.filter(matches)).toEqual(names.filter((name) => regex.test(name)))
      }
  })

  it.each(['(a)\\1', '(?<x>a)\\k<x>', 'a(?=b)', 'a(?!b)', '(?<=a)b', '(?<!a)b', 'a{60000}'])('%s is left to others', (source) => {
    expect(linearMatcher(source, '', true)).toBeUndefined()
  })
})

describe('patterns whose limits multiply', () => {
  const long = `model.${'layers.0.'.repeat(20)}a`
  it.each([
    '.*.*.*.*.*.*.*x',
    `${'.*'.repeat(7)}${'a?'.repeat(20)}x`,
    `${'(?:a|b|.)'.repeat(7)}${'.*'.repeat(6)}x`,
    `${'[^x]*'.repeat(7)}x`,
    `.*${'.{0,3}'.repeat(7)}.*.*.*.*.*x`,
  ])('%s takes no time', (pattern) => {
    const regex = pythonRegex(pattern, 'fullmatch')
    for (let i = 0; i < 300; i++) expect(regex.test(`${long}${i}`)).toBe(false)
    expect(regex.test(`${long}x`)).toBe(true)
  })

  it('what their groups capture is refused', () => {
    const regex = pythonRegex('.*.*.*.*.*.*(?P<idx>\\d+)', 'match')
    expect(regex.exec('none')).toBeNull()
    expect(() => regex.exec('layers.1.')).toThrow(/may take too long/)
  })

  it('with lookaround they are refused, and moderate ones are not', () => {
    expect(() => pythonRegex('(?!y).*.*.*.*.*.*x', 'fullmatch')).toThrow(/may take too long/)
    expect(pythonRegex('^(?!.*(?:vision|audio)).*(?:q_proj|v_proj).*$', 'fullmatch').test('model.q_proj')).toBe(true)
    expect(pythonRegex('(.*)\\.\\1', 'fullmatch').test('a.a')).toBe(true)
  })
})
