/**
 * @file The report of a run: what it carries of each way to end, nothing of the network, and names that cannot break out of
 * it.
 */
import { describe, expect, it } from 'vitest'
import type { TrainEvent } from '../train/events.js'
import { renderReport, smooth } from './html.js'
import { reportAssets } from './node-assets.js'

const step = (n: number, loss: number): TrainEvent => ({
  event: 'step',
  step: n,
  epoch: 0,
  loss,
  gradNorm: 1,
  learningRate: 1e-3,
  tokens: 100,
  tokensPerSecond: 5000,
})
const info = { title: 'A run', model: 'folder/model', hyperparameters: { lr: 1e-3, 'target-modules': ['q_proj', 'v_proj'] } }

const dataOf = (html: string): Record<string, unknown> =>
  JSON.parse(/<script type="application\/json" id="run">(.*?)<\/script>/s.exec(html)![1]!) as Record<string, unknown>

describe('renderReport', () => {
  it('carries curves, settings and the chart library, and asks nothing of the network', async () => {
    const events: TrainEvent[] = [
      { event: 'start', steps: 2, resumedAt: 0, trainableParameters: 10, totalParameters: 1000, rows: 8 },
      step(1, 2),
      step(2, 1.5),
      { event: 'eval', step: 2, loss: 1.4, perplexity: 4.055, tokens: 50, best: true },
      {
        event: 'done',
        reason: 'finished',
        steps: 2,
        loss: 1.5,
        trainableParameters: 10,
        totalParameters: 1000,
        peakMemoryBytes: 2 ** 27,
        seconds: 75,
        stoppedEarly: false,
      },
    ]
    const html = renderReport(events, info, await reportAssets())
    expect(dataOf(html)).toMatchObject({ steps: [1, 2], loss: [2, 1.5], evalSteps: [2], evalLoss: [1.4] })
    expect(html).toContain('q_proj, v_proj')
    expect(html).toContain('1.4 (perplexity 4.055, step 2)')
    expect(html).toContain('1 min 15 s')
    expect(html).toContain('10 of 1,000 (1 %)')
    expect(html).toContain('uPlot=')
    expect(html).not.toMatch(/<(script|link|img)[^>]*\b(src|href)=/)
  })

  it('says how a run ended: by an error, interrupted, or not yet', () => {
    const render = (...events: TrainEvent[]): string => renderReport([step(1, 2), ...events], info, { script: '', style: '' })
    const failure: TrainEvent = { event: 'error', step: 1, message: 'no space left <here>', checkpoint: 'out/checkpoint-1' }
    const failed = render(failure)
    expect(failed).toContain('<dt>State</dt><dd>ended by an error</dd>')
    expect(failed).toContain('<dt>Error</dt><dd>no space left &lt;here&gt;</dd>')
    expect(failed).toContain('<dt>Checkpoint</dt><dd>out/checkpoint-1</dd>')
    expect(render()).toContain('<dd>unfinished</dd>')
    const numbers = { steps: 1, loss: 2, trainableParameters: 1, totalParameters: 2, peakMemoryBytes: 1, seconds: 1 }
    const done = { event: 'done', stoppedEarly: false, ...numbers } as const
    expect(render({ ...done, reason: 'aborted' })).toContain('<dd>interrupted</dd>')
    // Resumed and finished after an error.
    const after = render(failure, { ...done, reason: 'finished' })
    expect(after).toContain('<dd>finished</dd>')
    expect(after).not.toContain('no space left')
  })

  it('keeps the last telling of a step that a resumed run repeats', () => {
    expect(dataOf(renderReport([step(1, 2), step(2, 9), step(2, 1.5)], info, { script: '', style: '' }))).toMatchObject({
      steps: [1, 2],
      loss: [2, 1.5],
    })
  })

  it('draws a gap where a loss is not finite, and says that a run is unfinished', () => {
    const html = renderReport([step(1, 2), { event: 'warning', step: 2, message: 'the loss is NaN' }, step(2, NaN)], info, {
      script: '',
      style: '',
    })
    expect(dataOf(html)).toMatchObject({ loss: [2, null], smooth: [2, null] })
    expect(html).toContain('the loss is NaN')
    expect(html).toContain('unfinished')
  })

  it('cannot be broken out of by names', () => {
    const html = renderReport(
      [],
      { title: '</title><script>alert(1)</script>', model: '<b>', hyperparameters: { '<i>': '"&' } },
      { script: '', style: '' },
    )
    expect(html).not.toContain('<script>alert')
    expect(html).toContain('&lt;b&gt;')
    expect(html).toContain('&quot;&amp;')
  })
})

describe('smooth', () => {
  it('begins at the first value and keeps a constant', () => {
    expect(smooth([3, 3, 3])).toEqual([3, 3, 3])
    // (0.9·0.1·1 + 0.1·2) / (0.9·0.1 + 0.1)
    expect(smooth([1, 2])[1]).toBeCloseTo(0.29 / 0.19, 5)
  })
})
