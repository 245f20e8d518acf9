/** @file Numbers between bounds against arithmetic: what is accepted lies in the range, and what lies in it is accepted. */
import { describe, expect, it } from 'vitest'
import { Random } from '../util/rng.js'
import { boundedNumber, type NumberRange } from './bounded-number.js'
import { accepts, type Machine } from './machine.js'

const holds = (
  value: number,
  { integer, minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf }: NumberRange,
): boolean =>
  (!integer || Number.isInteger(value)) &&
  value >= (minimum ?? -Infinity) &&
  value <= (maximum ?? Infinity) &&
  value > (exclusiveMinimum ?? -Infinity) &&
  value < (exclusiveMaximum ?? Infinity) &&
  (multipleOf === undefined || value % multipleOf === 0)

/** A number, digit by digit at random. */
function written(start: Machine, random: Random): string {
  let [machine, text] = [start, '']
  for (;;) {
    const next = [...'0123456789-.'].flatMap((character) => {
      const after = machine.step(character.charCodeAt(0))
      return after === undefined ? [] : [{ character, after }]
    })
    if (machine.accepts && (next.length === 0 || random.uniform() < 0.3)) return text
    // Whatever was begun has an end.
    expect(next).not.toEqual([])
    const { character, after } = next[Math.floor(random.uniform() * next.length)]!
    machine = after
    text += character
  }
}

const ranges: readonly NumberRange[] = [
  { integer: true, minimum: 0, maximum: 0 },
  { integer: true, minimum: -3, maximum: 12 },
  { integer: true, exclusiveMinimum: 99, exclusiveMaximum: 1001 },
  { integer: true, minimum: 17, multipleOf: 7 },
  { integer: true, maximum: -1, multipleOf: 1000 },
  { integer: true, minimum: 0.5, maximum: 1e300 },
  { integer: false, minimum: 0, maximum: 1 },
  { integer: false, exclusiveMinimum: 0, exclusiveMaximum: 1e-9 },
  { integer: false, minimum: -1.5, exclusiveMaximum: -1.25 },
  { integer: false, exclusiveMinimum: 0.30000000000000004, maximum: 0.4 },
  { integer: false, minimum: 123456.789, maximum: 123456.79 },
  { integer: false, exclusiveMinimum: 99999999999999, maximum: 1e15 },
  { integer: false, minimum: 1e-7 },
]

describe.each(ranges)('%j', (range) => {
  const start = boundedNumber(range)!

  it('writes numbers of it, and always comes to an end', () => {
    const random = Random.derive(1, 'numbers')
    for (let i = 0; i < 100; i++) {
      const text = written(start, random)
      expect([
        text,
        text === JSON.stringify(JSON.parse(text)) || /\.|^-0/.test(text),
        holds(JSON.parse(text) as number, range),
      ]).toEqual([text, true, true])
    }
  })

  it('accepts the numbers of it', () => {
    const some = [
      -1001, -1000, -4, -3, -2, -1.5, -1.3, -1.25, -1, 0, 0.5, 1, 3, 7, 12, 13, 21, 99, 100, 1000, 1001, 0.35, 0.4, 5e-10,
      123456.7895,
    ]
    for (const value of some) {
      const text = value === 5e-10 ? '0.0000000005' : String(value)
      expect([text, accepts(start, text)]).toEqual([text, holds(value, range)])
    }
  })
})

it('no number at all', () => {
  for (const range of [
    { integer: true, minimum: 1, maximum: 0 },
    { integer: true, exclusiveMinimum: 1, exclusiveMaximum: 2 },
    { integer: true, minimum: 8, maximum: 13, multipleOf: 7 },
    { integer: false, minimum: 1e20 },
    { integer: false, exclusiveMinimum: 0, exclusiveMaximum: 1e-10 },
  ])
    expect([range, boundedNumber(range)]).toEqual([range, undefined])
})
