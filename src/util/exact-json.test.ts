import { describe, expect, it } from 'vitest'
import { keptKeys, keptNumber, parseExactJson } from './exact-json.js'
import { PythonFloat } from './python-json.js'

describe('parseExactJson', () => {
  it.each([
    '{"a": 1.0, "b": [1, 2.50, -0.0, 1e3], "c": {"2": "x", "1": 12345678901234567890}}',
    '[ 1.0 , {"10":1,"9":{"a":"1.0\\"]","b":null}} ,true, "é\\u00e9" ]\n',
    '{"a": 1.0, "a": 2, "__proto__": {"b": 1E2}}',
    '1.0',
    '{"a":[],"b":{},"1":[[1.0]]}',
  ])('gives what JSON.parse gives: %s', (text) => {
    expect(parseExactJson(text)).toEqual(JSON.parse(text))
    expect(JSON.stringify(parseExactJson(text))).toBe(JSON.stringify(JSON.parse(text)))
  })

  it('remembers floats that are whole, big integers and the order of keys', () => {
    const value = parseExactJson('{"b": 1.0, "10": 1e2, "9": 12345678901234567890, "c": 2, "d": 2.5, "e": [0, -0.0]}') as {
      readonly e: readonly number[]
    }
    expect(keptNumber(value, 'b')).toEqual(new PythonFloat(1))
    expect(keptNumber(value, '10')).toEqual(new PythonFloat(100))
    expect(keptNumber(value, '9')).toBe(12345678901234567890n)
    expect(keptNumber(value, 'c')).toBeUndefined()
    expect(keptNumber(value, 'd')).toBeUndefined()
    expect(keptNumber(value.e, 1)).toEqual(new PythonFloat(-0))
    expect(keptKeys(value)).toEqual(['b', '10', '9', 'c', 'd', 'e'])
    expect(keptKeys({ a: 1 })).toEqual(['a'])
  })

  it('takes long texts', () => {
    const text = 'a\\"'.repeat(5_000_000)
    const value = parseExactJson(`{"a": 1.0, "t": ${JSON.stringify(text)}}`) as { readonly t: string }
    expect(value.t === text).toBe(true)
  })

  it('forgets what a later entry of the same key replaces', () => {
    expect(keptNumber(parseExactJson('{"a": 1.0, "a": 2}') as object, 'a')).toBeUndefined()
  })

  it('refuses what JSON.parse refuses, and what is too deep', () => {
    expect(() => parseExactJson('{"a": 1.0,}')).toThrow(SyntaxError)
    expect(() => parseExactJson('['.repeat(2000) + '1.0' + ']'.repeat(2000))).toThrow('nested more than 1000 levels deep')
  })
})
