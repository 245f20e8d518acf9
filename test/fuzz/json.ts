/** @file Mutations of JSON: hostile keys, names, patterns and numbers in the place of values. */
import type { Random } from './random.js'

const hostile: readonly string[] = [
  'null', 'true', '-1', '0', '1.5', '1e308', '1e999', '9007199254740993', '100000000', '-0', '""', '[]', '{}', '[[[[[[]]]]]]',
  '{"__proto__":{"polluted":1}}', '{"constructor":{"prototype":{"polluted":1}}}', '"../../etc/passwd"', '"/etc/passwd"',
  '"C:\\\\windows"', '"(a+)+$"', '"(.*)*(.*)*x"', '"["', '"(?P<a>"', '"\\u0000"', '"\\ud800"', '"__proto__"', '"constructor"',
  '"toString"', '[0,0]', '[4294967296,4294967296]', '[-1]', '[0,1e15]', '["__proto__"]', '{"(a*)*b":8}',
] // prettier-ignore

const keys: readonly string[] = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  '__metadata__',
  '',
  '\u0000',
]

/** The text with one to three edits: most of them leave valid JSON. */
export function mutateJson(text: string, random: Random): string {
  let result = text
  for (let left = 1 + random.below(3); left > 0; left--) {
    const values = [...result.matchAll(/(?<=[:[,]\s*)(?:"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null|\[[^[\]{}]*\]|\{\})/g)]
    const names = [...result.matchAll(/"((?:[^"\\]|\\.)*)"(?=\s*:)/g)]
    const kind = random.below(5)
    if (kind < 2 && values.length > 0) result = replaceAt(result, random.pick(values), random.pick(hostile))
    else if (kind === 2 && names.length > 0) result = replaceAt(result, random.pick(names), JSON.stringify(random.pick(keys)))
    else if (kind === 3 && names.length > 0) result = replaceAt(result, random.pick(names), random.pick(names)[0])
    else if (names.length > 0) {
      const entry = `${JSON.stringify(random.pick(keys))}:${random.pick(hostile)},`
      const { index } = random.pick(names)
      result = result.slice(0, index) + entry + result.slice(index)
    }
  }
  if (random.below(500) === 0) return '['.repeat(20_000)
  return result
}

const replaceAt = (text: string, { 0: found, index }: RegExpExecArray, by: string): string =>
  text.slice(0, index) + by + text.slice(index + found.length)
