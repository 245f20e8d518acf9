/** @file Learning rates step by step against get_scheduler of transformers 5.18. */
import { describe, expect, it } from 'vitest'
import { learningRateAt } from './schedule.js'

/** `get_scheduler(name, optimizer, num_warmup_steps, num_training_steps)` of transformers 5.18.0 with a rate of 0.004. */
const theirs = [
  ['constant', 3, 12, [0, 0.0013333333333333333, 0.0026666666666666666, 0.004, 0.004, 0.004, 0.004, 0.004, 0.004]],
  [
    'linear',
    3,
    12,
    [
      0, 0.0013333333333333333, 0.0026666666666666666, 0.004, 0.0035555555555555553, 0.0031111111111111114, 0.0026666666666666666,
      0.0022222222222222222, 0.0017777777777777776, 0.0013333333333333333, 0.0008888888888888888, 0.0004444444444444444, 0, 0,
    ],
  ],
  [
    'cosine',
    3,
    12,
    [
      0, 0.0013333333333333333, 0.0026666666666666666, 0.004, 0.0038793852415718168, 0.003532088886237956, 0.003,
      0.0023472963553338613, 0.0016527036446661394, 0.0010000000000000005, 0.0004679111137620442, 0.00012061475842818337, 0,
      0.00012061475842818315,
    ],
  ],
  [
    'inverse_sqrt',
    3,
    12,
    [0, 0.0013333333333333333, 0.0026666666666666666, 0.004, 0.0034641016151377548, 0.0030983866769659337, 0.00282842712474619],
  ],
  ['inverse_sqrt', 0, 12, [0.004, 0.003999800014998751, 0.003999600059990002, 0.003999400134966259]],
  ['linear', 0, 5, [0.004, 0.0032, 0.0024, 0.0016, 0.0008, 0]],
  ['cosine', 0, 5, [0.004, 0.003618033988749895, 0.002618033988749895, 0.0013819660112501053, 0.0003819660112501053, 0]],
] as const

describe('learningRateAt', () => {
  it.each(theirs)('%s with %i steps of warm-up of %i equals transformers', (name, warmupSteps, totalSteps, rates) => {
    rates.forEach((rate, step) =>
      expect(learningRateAt(step, { name, learningRate: 0.004, warmupSteps, totalSteps })).toBeCloseTo(rate, 15),
    )
  })

  it('runs in lines between points, and stays what it is outside of them', () => {
    const options = {
      name: 'piecewise',
      learningRate: 2,
      warmupSteps: 0,
      totalSteps: 20,
      points: { 12: 0.5, 2: 0.25, 4: 1 },
    } as const
    const rates = [0, 2, 3, 4, 8, 12, 19].map((step) => learningRateAt(step, options))
    expect(rates).toEqual([0.5, 0.5, 1.25, 2, 1.5, 1, 1])
    expect(() => learningRateAt(0, { ...options, points: {} })).toThrow('schedule "piecewise" needs points')
  })

  it('survives a warm-up as long as the run', () => {
    const options = { name: 'cosine', learningRate: 1, warmupSteps: 4, totalSteps: 4 } as const
    expect([0, 1, 2, 3, 4].map((step) => learningRateAt(step, options))).toEqual([0, 0.25, 0.5, 0.75, 1])
  })
})
