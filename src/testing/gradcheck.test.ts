/** @file gradcheck itself: it passes a right rule, finds one that is slightly wrong, and says what it lacks. */
import { describe, expect, it } from 'vitest'
import { rule } from '../autodiff/rule.js'
import { nodeRuntime } from '../runtime/ort-node.js'
import { erf } from './erf.js'
import { gradcheck } from './gradcheck.js'

const runtime = nodeRuntime({ threads: 1 })

describe('gradcheck', () => {
  it('gives the gradient of the weighted sum, reproducibly', async () => {
    const tanh = { name: 'tanh', inputs: { x: [2, 3] }, build: (b, { x }) => b.tanh(x!) } satisfies Parameters<
      typeof gradcheck
    >[1]
    const first = await gradcheck(runtime, tanh, { seed: 7 })
    expect(first.error).toBeLessThan(1e-6)
    expect(first.gradients).toEqual((await gradcheck(runtime, tanh, { seed: 7 })).gradients)
    expect(first.gradients).not.toEqual((await gradcheck(runtime, tanh, { seed: 8 })).gradients)
    expect(first.forwardOps).toEqual(new Set(['Tanh']))
  })

  it('finds a rule that is slightly wrong', async () => {
    const wrong = rule('Tanh', ({ b, y: [y], dy: [g] }) => [b.mul(g!, b.sub(1.001, b.mul(y!, y!)))])
    const result = await gradcheck(
      runtime,
      { name: 'tanh', inputs: { x: [2, 3] }, build: (b, { x }) => b.tanh(x!) },
      { rules: [wrong] },
    )
    expect(result.error).toBeGreaterThan(1e-4)
    expect(result.forwardError).toBeLessThan(1e-6)
  })

  it('finds a reference that is another function', async () => {
    const result = await gradcheck(runtime, {
      name: 'sin',
      inputs: { x: { shape: [3], range: [1, 2] } },
      build: (b, { x }) => b.sin(x!),
      reference: (b, { x }) => b.cos(x!),
    })
    expect(result.forwardError).toBeGreaterThan(0.1)
    expect(result.error).toBeGreaterThan(0.1)
  })

  it('asks for the length of every symbolic dimension', async () => {
    await expect(gradcheck(runtime, { name: 'sin', inputs: { x: ['n'] }, build: (b, { x }) => b.sin(x!) })).rejects.toThrow(
      'gradcheck "sin": dims has no length for "n"',
    )
  })
})

it.each([
  [0, 0],
  [0.5, 0.5204998778130465],
  [-1, -0.8427007929497149],
  [2.5, 0.999593047982555],
])('erf(%d) = %d', (x, expected) => {
  expect(erf(x)).toBeCloseTo(expected, 13)
})
