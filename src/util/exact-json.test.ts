/**
 * @file JSON with what JavaScript forgets of it (whole floats, large integers, order of keys), against JSON.parse for all the
 * rest.
 */
import { describe, expect, it } from 'vitest'
import { keptKeys, keptNumber, parseExactJson, parseExactRow } from './exact-json.js'
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

  it('remembers a float that rounding makes whole, and the order of keys that are written with escapes', () => {
    const value = parseExactJson('{"\\u0031": 123456789012345.9999, "0": 2}') as object
    expect(keptNumber(value, '1')).toEqual(new PythonFloat(123456789012346))
    expect(keptKeys(value)).toEqual(['1', '0'])
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

describe('parseExactRow', () => {
  it('remembers what JavaScript has not in rows that hold an object, at whatever depth', () => {
    const row = parseExactRow('{"tools": [[{"x": 1.0, "10": 12345678901234567890, "9": 2}]]}') as { readonly tools: object[][] }
    const [[tool]] = row.tools as [[object]]
    expect([keptNumber(tool, 'x'), keptNumber(tool, '10')]).toEqual([new PythonFloat(1), 12345678901234567890n])
    expect(keptKeys(tool)).toEqual(['x', '10', '9'])
  })

  it('gives other rows as JSON.parse does', () => {
    const text = '{"score": 1.0, "10": 12345678901234567890, "9": [1.0, [2e0]], "t": null}'
    const row = parseExactRow(text) as object
    expect(row).toEqual(JSON.parse(text))
    expect([keptNumber(row, 'score'), keptKeys(row)]).toEqual([undefined, ['9', '10', 'score', 't']])
  })

  it('refuses what JSON.parse refuses, and lists that are too deep', () => {
    expect(() => parseExactRow('{"a": 1.0,}')).toThrow(SyntaxError)
    expect(() => parseExactRow(`{"a": ${'['.repeat(100_000)}${']'.repeat(100_000)}}`)).toThrow(
      'nested more than 1000 levels deep',
    )
  })
})
