/** @file Lengths replaced in a formatted length give what the same arithmetic on the replacements gives. */
import { describe, expect, it } from 'vitest'
import { Random } from '../../util/rng.js'
import type { Dim } from '../types.js'
import { addDims, evaluateDim, floorDivideDims, maxDims, minDims, multiplyDims, scaleDim, sliceDim, substituteDims } from './index.js' // prettier-ignore

type Lengths = Readonly<Record<string, Dim>>

/** Arithmetic that can be done on names, on other lengths and on numbers. */
interface Expression {
  readonly text: string
  readonly of: (lengths: Lengths) => Dim
}

const NAMES = ['a', 'b', 'c']
const OPEN = 2 ** 31 - 1

/** Lengths stand for at least 1, and what is decided of them holds for such alone. */
class Short extends Error {}

const call = (text: string, operands: readonly Expression[], make: (...dims: Dim[]) => Dim): Expression => ({
  text: `${text}(${operands.map((o) => o.text).join(', ')})`,
  of: (lengths) => {
    const result = make(...operands.map((o) => o.of(lengths)))
    if (typeof result === 'number' && result < 1) throw new Short()
    return result
  },
})

function randomExpression(random: Random, depth: number): Expression {
  const below = (n: number): number => random.uint32() % n
  const whole = (value: number): Expression => ({ text: `${value}`, of: () => value })
  const one = (): Expression => {
    if (below(4) === 0) return whole(1 + below(6))
    const name = NAMES[below(NAMES.length)]!
    return { text: name, of: (lengths) => lengths[name]! }
  }
  if (depth === 0) return one()
  const inner = (): Expression => randomExpression(random, depth - 1)
  const step = 1 + below(4)
  const constant = below(7)
  switch (below(9)) {
    case 0:
    case 1:
      return call('add', [inner(), inner()], addDims)
    case 2:
      return call(`add ${-constant}`, [inner()], (x) => addDims(x, -constant))
    case 3:
      return call('multiply', [inner(), one()], multiplyDims)
    case 4:
      return call(`floor of ${step}`, [inner()], (x) => floorDivideDims(x, step))
    case 5:
      return call('quotient', [inner(), inner()], floorDivideDims)
    case 6:
      return call('min', [inner(), inner()], minDims)
    case 7:
      return call('max', [inner(), inner()], maxDims)
    default: {
      if (below(2) === 0) return call('scaled', [inner()], (x) => scaleDim(x, 1.5))
      const [start, end] = [below(4) - 1, below(2) === 0 ? OPEN : -1 - below(2)]
      return call(`slice ${start}:${end}:${step}`, [inner()], (x) => sliceDim(x, start, end, step))
    }
  }
}

const symbols: Lengths = Object.fromEntries(NAMES.map((name) => [name, name]))

/** What a name may stand for: another name, a number, or arithmetic on them. */
const replacements: readonly Lengths[] = [
  { b: 2 },
  { b: 'a' },
  { a: 3, b: 'c', c: 4 },
  { b: addDims('a', 3) },
  { a: multiplyDims('b', 2), c: multiplyDims('b', 3) },
  { a: addDims(multiplyDims('b', 2), 1), b: 'd' },
  { a: 'min{b,d}', b: 'd' },
  { c: 'floor{(d+1)/2}', b: 4 },
]

const orShort = <T>(make: () => T): T | undefined => {
  try {
    return make()
  } catch (error) {
    if (error instanceof Short) return undefined
    throw error
  }
}

describe('substitution', () => {
  const random = new Random(7)
  const expressions = Array.from({ length: 800 }, () => randomExpression(random, 1 + (random.uint32() % 4)))

  it.each(replacements.map((r) => [JSON.stringify(r), r] as const))('of %s builds what its parts build', (_, replacement) => {
    let compared = 0
    for (const expression of expressions) {
      const dim = orShort(() => expression.of(symbols))
      const built = orShort(() => expression.of({ ...symbols, ...replacement }))
      if (dim === undefined || built === undefined) continue
      compared++
      expect(substituteDims(dim, (name) => replacement[name]), `${expression.text} = ${dim}`).toBe(built) // prettier-ignore
    }
    expect(compared).toBeGreaterThan(400)
  })

  it('does not change the number that a length is', () => {
    let compared = 0
    for (const expression of expressions) {
      const dim = orShort(() => expression.of(symbols))
      if (dim === undefined) continue
      for (const replacement of replacements) {
        const lengths: Record<string, number> = { a: 1 + (random.uint32() % 20), b: 1 + (random.uint32() % 20), c: 1 + (random.uint32() % 20), d: 2 + (random.uint32() % 20) } // prettier-ignore
        const bind = (length: Dim): number => evaluateDim(length, (name) => lengths[name])
        const bound: Lengths = Object.fromEntries(NAMES.map((name) => [name, bind(replacement[name] ?? name)]))
        const number = orShort(() => expression.of(bound))
        if (number === undefined) continue
        compared++
        expect(evaluateDim(dim, (name) => bound[name] as number), `${expression.text} = ${dim} of ${JSON.stringify(bound)}`).toBe(number) // prettier-ignore
        const substituted = substituteDims(dim, (name) => replacement[name])
        expect(bind(substituted), `${dim} became ${substituted} of ${JSON.stringify(lengths)}`).toBe(number)
      }
    }
    expect(compared).toBeGreaterThan(3000)
  })
})
