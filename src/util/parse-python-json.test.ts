import { describe, expect, it } from 'vitest'
import { hasPythonNumbers, parsePythonJson } from './parse-python-json.js'
import { PythonFloat } from './python-json.js'

describe('parsePythonJson', () => {
  it('tells floats from integers and keeps large integers, as json.loads does', () => {
    expect(parsePythonJson(' { "a": [1.0, 1, -0.0, 1e5, 2.50, 1E400] , "b": {"c": 12345678901234567890, "d": -7} } ')).toEqual({
      a: [new PythonFloat(1), 1, new PythonFloat(-0), new PythonFloat(100000), 2.5, new PythonFloat(Infinity)],
      b: { c: 12345678901234567890n, d: -7 },
    })
    expect(parsePythonJson('1.0')).toEqual(new PythonFloat(1))
  })

  it('reads everything else as JSON.parse does', () => {
    for (const json of [
      '{"a":"1.0 \\" \\\\ \\u00e9 }","":[],"x":{},"t":true,"f":false,"n":null,"f2":1.25}',
      '[ ]',
      '[[1.5],[{"k":[{}]}]]',
      '"1.0"',
      '{"__proto__":1.5}',
    ])
      expect(parsePythonJson(json)).toEqual(JSON.parse(json))
    expect(Object.keys(parsePythonJson('{"__proto__": 1.5, "a": 1.0}') as object)).toEqual(['__proto__', 'a'])
  })

  it('looks past strings for numbers that differ', () => {
    expect(hasPythonNumbers('{"text": "it costs 3.0 or 1e5, id 1234567890123456789 \\" 2.0"}')).toBe(false)
    expect(hasPythonNumbers('{"text": "a\\\\", "n": 3.0}')).toBe(true)
    expect(hasPythonNumbers('{"n": 1234567890123456}')).toBe(true)
  })

  it('takes long strings, and refuses deep nesting', () => {
    const text = 'a\\"'.repeat(1_000_000)
    expect(parsePythonJson(`{"a": ${JSON.stringify(text)}, "n": 1.0}`)).toEqual({ a: text, n: new PythonFloat(1) })
    expect(() => parsePythonJson(`${'['.repeat(2000)}1.0${']'.repeat(2000)}`)).toThrow('nested more than 500 deep')
  })

  it('refuses what is no JSON', () => {
    for (const json of ['{"a": 1.0,}', '[1.0', '01.0', '']) expect(() => parsePythonJson(json)).toThrow(SyntaxError)
  })
})
