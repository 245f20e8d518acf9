/** @file Characters as bytes of UTF-8, and as a string of JSON holds them. */
import { CodePoints } from '../tokenizer/unicode/code-points.js'
import { byteRange, either, literal, sequence, type Expression } from './expression.js'

/** The first code point that takes more bytes than those before. */
const lengths = [0x80, 0x800, 0x10000, 0x110000]
const leads = [0, 0xc0, 0xe0, 0xf0]

/** Code points from `first` to `last`, of the same number of bytes: `left` of them behind those that are alike. */
function tails(first: number, last: number, left: number, lead: number): Expression {
  const size = 64 ** left
  const [from, to] = [Math.floor(first / size), Math.floor(last / size)]
  if (left === 0) return byteRange(lead + from, lead + to)
  const branch = (head: number, low: number, high: number): Expression =>
    sequence(byteRange(lead + head, lead + head), tails(low, high, left - 1, 0x80))
  const [low, high] = [first - from * size, last - to * size]
  if (from === to) return branch(from, low, high)
  const options: Expression[] = []
  let [start, end] = [from, to]
  if (low > 0) options.push(branch(start++, low, size - 1))
  if (high < size - 1) options.push(branch(end--, 0, high))
  if (start <= end) options.push(sequence(byteRange(lead + start, lead + end), tails(0, size - 1, left - 1, 0x80)))
  return either(...options)
}

const surrogates = CodePoints.of([0xd800, 0xdfff])

/** One character of a set, in UTF-8; surrogates have none. */
export function utf8(set: CodePoints): Expression {
  const options: Expression[] = []
  for (const [first, last] of set.minus(surrogates).ranges())
    lengths.forEach((end, left) => {
      const low = Math.max(first, lengths[left - 1] ?? 0)
      const high = Math.min(last, end - 1)
      if (low <= high) options.push(tails(low, high, left, leads[left]!))
    })
  return either(...options)
}

/** What a string of JSON must not hold as it is. */
const escaped = CodePoints.of([0, 0x1f], '"'.charCodeAt(0), '\\'.charCodeAt(0))

/** The inside of a text as a string of JSON, written the one way that `JSON.stringify` does. */
export const insideString = (text: string): string => JSON.stringify(text).slice(1, -1)

/** One character of a set in a string of JSON, written the one way that `JSON.stringify` does. */
export function stringCharacter(set: CodePoints): Expression {
  const options: Expression[] = [utf8(set.minus(escaped))]
  for (const [first, last] of set.and(escaped).ranges())
    for (let point = first; point <= last; point++) options.push(literal(insideString(String.fromCharCode(point))))
  return either(...options)
}

const digit = byteRange(0x30, 0x39)
const hexadecimal = either(digit, byteRange(0x41, 0x46), byteRange(0x61, 0x66))
const letters = (...pairs: readonly string[]): Expression =>
  either(...pairs.map((pair) => byteRange(pair.charCodeAt(0), pair.charCodeAt(1))))

/** `\uXXXX`; a surrogate comes with the other of its pair, for programs that take no half characters. */
const unit = (() => {
  const three = sequence(hexadecimal, hexadecimal, hexadecimal)
  const two = sequence(hexadecimal, hexadecimal)
  const d = letters('DD', 'dd')
  const whole = either(sequence(either(digit, letters('AC', 'ac', 'EF', 'ef')), three), sequence(d, byteRange(0x30, 0x37), two))
  const high = sequence(d, letters('89', 'AB', 'ab'), two)
  const low = sequence(d, letters('CF', 'cf'), two)
  return either(sequence(literal('\\u'), whole), sequence(literal('\\u'), high, literal('\\u'), low))
})()

/** Any character in a string of JSON, in every way that it can be written. */
export const anyCharacter: Expression = either(
  utf8(escaped.not()),
  unit,
  sequence(literal('\\'), either(...[...'"\\/bfnrt'].map((letter) => literal(letter)))),
)

/** Any character in a string of JSON, written the one way that `JSON.stringify` does. */
export const plainCharacter: Expression = stringCharacter(new CodePoints([]).not())
