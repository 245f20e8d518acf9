/** @file The plan by itself: no file is read or written. */
import { describe, expect, it } from 'vitest'
import type { LowRankDelta, WeightDelta } from '../adapters/weight-delta.js'
import { InvalidAdapterError } from '../errors.js'
import { float32, tensor } from '../graph/constants.js'
import type { Initializer } from '../graph/types.js'
import { stored } from './merged-weight.js'
import { planTensors } from './named-tensors.js'
import { planMerge } from './plan.js'
import { firstOverflow, inType } from './stored-type.js'

const branch = (module: string, kind: LowRankDelta['kind'] = 'Linear', keeps?: string): LowRankDelta => ({
  ...{ module, kind, A: new Float32Array(2), B: new Float32Array(3), scale: 1 },
  ...(keeps !== undefined && { keeps }),
})
const table = float32([3, 2], new Float32Array(6))
const plan = (deltas: [string, WeightDelta[]][], tensors: [string, Initializer][] = [['wte.weight', table]]) =>
  [...planTensors(new Map(deltas), { source: 'model', tensors: new Map(tensors) }).values()].map(
    ({ name, deltas: list, untiedFrom }) => [name, list.map(({ module }) => module), untiedFrom],
  )
/** [vocabulary, hidden]: A is [r, vocabulary], B [hidden, r]. */
const embedding = (keeps?: string): LowRankDelta => ({
  ...branch('wte', 'Embedding', keeps),
  ...{ A: new Float32Array(3), B: new Float32Array(2) },
})

describe('a table that a head shares', () => {
  it('stays where the head alone changes', () => {
    expect(plan([['wte.weight', [branch('lm_head')]]])).toEqual([
      ['wte.weight', [], undefined],
      ['lm_head.weight', ['lm_head'], 'wte.weight'],
    ])
  })
  it('changes in its place, and the head keeps the old one', () => {
    expect(plan([['wte.weight', [embedding('lm_head')]]])).toEqual([
      ['wte.weight', ['wte'], undefined],
      ['lm_head.weight', [], 'wte.weight'],
    ])
  })
  it('changes with the head where both are adapted, each by its own', () => {
    expect(plan([['wte.weight', [embedding('lm_head'), branch('lm_head')]]])).toEqual([
      ['wte.weight', ['wte'], undefined],
      ['lm_head.weight', ['lm_head'], 'wte.weight'],
    ])
  })
  it('changes for all that read it where rows are trained', () => {
    const rows: WeightDelta = { module: 'wte', kind: 'rows', rows: [1], values: new Float32Array(2) }
    expect(plan([['wte.weight', [rows]]])).toEqual([['wte.weight', ['wte'], undefined]])
    expect(plan([['wte.weight', [rows, branch('lm_head')]]])).toEqual([
      ['wte.weight', ['wte'], undefined],
      ['lm_head.weight', ['wte', 'lm_head'], 'wte.weight'],
    ])
    const base = { name: 'wte.weight', shape: [3, 2], dtype: 'float32' } as const
    const [change] = planMerge(new Map([['wte.weight', [rows]]]), { source: 'model', base: () => base, isShared: () => true })
    expect(change).toEqual({ weight: 'wte.weight', base, deltas: [rows] })
  })
  it('is not copied for a head that the checkpoint stores beside it', () => {
    const own = float32([3, 2], new Float32Array(6).fill(1))
    expect(plan([['wte.weight', [embedding('lm_head')]]], [['wte.weight', table], ['lm_head.weight', own]])).toEqual([
      ['wte.weight', ['wte'], undefined],
      ['lm_head.weight', [], undefined],
    ]) // prettier-ignore
  })
})

describe('refusals', () => {
  it('names the weight, the model and what to do', () => {
    const int8 = tensor('int8', [3, 2], [1, 2, 3, 4, 5, 6])
    expect(() => plan([['fc.weight', [branch('fc')]]], [['fc.weight', int8]])).toThrow(
      /weight "fc.weight" of model is stored as int8, [^]*Keep the adapter unmerged/,
    )
    expect(() => plan([['nowhere.weight', [branch('fc')]]])).toThrow(/model has no weight "nowhere.weight"/)
    expect(() => plan([['fc.weight', [branch('fc')]]], [['fc.weight', float32([2, 2], new Float32Array(4))]])).toThrow(
      'the adapter of fc (A with 2 numbers, B with 3) does not fit weight "fc.weight" [2, 2] of model',
    )
  })
  it('tells what is too large for the type from what is no number', () => {
    const attempt = (value: number) => () => stored('w', 'float16', [2], Float32Array.of(1, value))
    expect(attempt(70_000)).toThrow(InvalidAdapterError)
    expect(attempt(70_000)).toThrow(/merging gives 70000 in weight "w", element 1, which float16 cannot hold/)
    expect(attempt(NaN)).toThrow(/merging gives NaN in weight "w", element 1; the base or the adapter holds NaN/)
    expect(stored('w', 'float32', [2], Float32Array.of(1, 70_000)).dtype).toBe('float32')
  })
  it('finds a number that overflows behind one that was infinite before', () => {
    const values = Float32Array.of(-Infinity, 1, 70_000)
    expect(firstOverflow(values, inType('float16', [3], values))).toBe(2)
    expect(firstOverflow(values, inType('bfloat16', [3], values))).toBe(-1)
    expect(firstOverflow(values, inType('float32', [3], values))).toBe(-1)
  })
})
