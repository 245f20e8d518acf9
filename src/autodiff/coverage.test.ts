/** @file Every rule against finite differences, and the proof that no rule was forgotten. */
import { describe, expect, it } from 'vitest'
import { emittableOps, operatorKey } from '../graph/allowed-ops.js'
import { nodeRuntime } from '../runtime/ort-node.js'
import { gradcheck } from '../testing/gradcheck.js'
import { builtinRules } from './registry.js'
import { gradientCases } from './rules/cases.js'

/** Float32 rounding in a few operations, relative to the largest gradient. */
const TOLERANCE = 2e-6

const runtime = nodeRuntime({ threads: 1 })
const covered = new Set<string>()
const broadcasting = new Set<string>()
const symbolic = new Set<string>()

for (const [family, cases] of Object.entries(gradientCases))
  describe(`gradients of ${family}`, () => {
    it.each(cases.map((c) => [c.name, c] as const))('%s', async (name, check) => {
      const result = await gradcheck(runtime, check)
      expect(result.forwardError, 'forward').toBeLessThan(TOLERANCE)
      expect(result.error, 'gradient').toBeLessThan(TOLERANCE)
      for (const op of result.backwardOps) expect(emittableOps).toContain(op)
      for (const op of result.forwardOps) {
        covered.add(op)
        if (name.includes('broadcasts')) broadcasting.add(op)
      }
      if (check.dims !== undefined) symbolic.add(family)
    })
  })

// Runs after the tables above, in file order.
describe('coverage', () => {
  it('has a case for every rule with a gradient', () => {
    const rules = builtinRules.filter((r) => r.gradient !== undefined).map((r) => operatorKey(r.op, r.domain))
    expect(rules.filter((op) => !covered.has(op))).toEqual([])
  })

  it('has a broadcasting case for every operator that broadcasts', () => {
    const ops = [
      'Add',
      'Sub',
      'Mul',
      'Div',
      'Pow',
      'Where',
      'Min',
      'Max',
      'Mod',
      'MatMul',
      'com.microsoft.FusedMatMul',
      'Gemm',
      'Expand',
    ]
    expect(ops.filter((op) => !broadcasting.has(op))).toEqual([])
  })

  it('has cases of symbolic shapes in every family', () => {
    expect(Object.keys(gradientCases).filter((family) => !symbolic.has(family))).toEqual([])
  })

  it('declares every operator once', () => {
    const keys = builtinRules.map((r) => operatorKey(r.op, r.domain))
    expect(keys.filter((key, i) => keys.indexOf(key) !== i)).toEqual([])
  })
})
