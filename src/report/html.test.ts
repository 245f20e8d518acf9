/**
 * @file The report of a run: what it carries of each way to end, nothing of the network, and names that cannot break out of
 * it.
 */
import { describe, expect, it } from 'vitest'
import type { TrainEvent } from '../train/events.js'
import { renderReport } from './html.js'
import { reportAssets } from './node-assets.js'
import { namesOf } from './report.js'
import { smooth, type ReportedRun } from './run.js'

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
const run = (events: readonly TrainEvent[], more: Partial<ReportedRun> = {}): ReportedRun => ({
  ...{
    name: 'mine',
    model: 'folder/model',
    settings: { learningRate: 1e-3, targetModules: ['q_proj', 'v_proj'] },
    events,
    ...more,
  },
})
const bare = { script: '', style: '' }
const render = (...events: TrainEvent[]): string => renderReport([run(events)], bare, 'A run')

const runsOf = (html: string): Record<string, unknown>[] =>
  (JSON.parse(/<script type="application\/json" id="run">(.*?)<\/script>/s.exec(html)![1]!) as { runs: [] }).runs
const dataOf = (html: string): Record<string, unknown> => runsOf(html)[0]!
/** Names and cells of the rows of the page's tables. */
const rowsOf = (html: string): string[][] =>
  [...html.matchAll(/<tr[^>]*>(.*?)<\/tr>/gs)].map(([, row]) =>
    [...row!.matchAll(/<t[hd][^>]*>(.*?)<\/t[hd]>/gs)].map(([, cell]) => cell!),
  )

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
    const html = renderReport([run(events)], await reportAssets(), 'A run')
    expect(dataOf(html)).toMatchObject({ steps: [1, 2], loss: [2, 1.5], evalSteps: [2], evalLoss: [1.4] })
    expect(html).toContain('q_proj, v_proj')
    expect(html).toContain('1.4 (perplexity 4.055, step 2)')
    expect(html).toContain('1 min 15 s')
    expect(html).toContain('10 of 1,000 (1 %)')
    expect(html).toContain('uPlot=')
    expect(html).not.toMatch(/<(script|link|img)[^>]*\b(src|href)=/)
  })

  it('says how a run ended: by an error, interrupted, or not yet', () => {
    const render = (...events: TrainEvent[]): string => renderReport([run([step(1, 2), ...events])], bare, 'A run')
    const failure: TrainEvent = { event: 'error', step: 1, message: 'no space left <here>', checkpoint: 'out/checkpoint-1' }
    const failed = render(failure)
    expect(failed).toContain('<dt>State</dt><dd>ended by an error</dd>')
    expect(failed).toContain('<h2>Error after step 1</h2><p>no space left &lt;here&gt;</p>')
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
    expect(dataOf(render(step(1, 2), step(2, 9), step(2, 1.5)))).toMatchObject({
      steps: [1, 2],
      loss: [2, 1.5],
    })
  })

  it('draws a gap where a loss is not finite, and says that a run is unfinished', () => {
    const html = render(step(1, 2), { event: 'warning', step: 2, message: 'the loss is NaN' }, step(2, NaN))
    expect(dataOf(html)).toMatchObject({ loss: [2, null], smooth: [2, null] })
    expect(html).toContain('the loss is NaN')
    expect(html).toContain('unfinished')
  })

  it('cannot be broken out of by names', () => {
    const html = renderReport(
      [
        run([{ event: 'samples', step: 1, samples: [{ prompt: '</pre><script>alert(2)</script>', text: '<script>alert(3)' }] }], {
          ...{ name: '</script><script>alert(4)', model: '<b>', settings: { '<i>': '"&' }, command: '<script>alert(5)' },
        }),
      ],
      bare,
      '</title><script>alert(1)</script>',
    )
    expect(html).not.toContain('<script>alert')
    expect(html).toContain('&lt;b&gt;')
    expect(html).toContain('&quot;&amp;')
  })
})

describe('texts, command and what is kept', () => {
  const samples = (at: number, text: string): TrainEvent => ({ event: 'samples', step: at, samples: [{ prompt: 'Once', text }] })

  it('are there', () => {
    const done = { event: 'done', reason: 'finished', steps: 4, loss: 1, trainableParameters: 1, totalParameters: 2 } as const
    const html = renderReport(
      [
        run(
          [
            ...[samples(2, 'upon'), samples(4, 'a <time>')],
            ...[
              { event: 'eval', step: 2, loss: 1, accuracy: 0.5, best: true } as const,
              { event: 'eval', step: 4, loss: 0.9, accuracy: 0.4, best: false } as const,
            ],
            { ...done, peakMemoryBytes: 1, seconds: 1, stoppedEarly: false, bestStep: 2 },
          ],
          { command: "lowrank train --data 'a b.jsonl'" },
        ),
      ],
      bare,
      'A run',
    )
    expect(html).toContain('<pre>Once</pre>')
    expect(rowsOf(html)).toContainEqual(['step 2', 'upon'])
    expect(rowsOf(html)).toContainEqual(['step 4', 'a &lt;time&gt;'])
    expect(html).toContain('<h2>Command</h2><pre>lowrank train --data &#39;a b.jsonl&#39;</pre>')
    expect(html).toContain('<dt>Kept: the best evaluation</dt><dd>1 (accuracy 0.5, step 2)</dd>')
    expect(html).toContain('<dt>Lowest evaluation loss</dt><dd>0.9 (accuracy 0.4, step 4)</dd>')
  })

  it('of several runs lie beside each other, settings that differ first', () => {
    const html = renderReport(
      [
        run([step(1, 2), samples(1, 'one')], { name: 'a', settings: { seed: 0, learningRate: 1e-3 } }),
        run([step(1, 3), step(2, 1), samples(1, 'early'), samples(2, 'two')], {
          name: 'b',
          settings: { seed: 0, learningRate: 1e-2, rank: 4 },
        }),
      ],
      bare,
      'Two',
    )
    expect(runsOf(html).map(({ name, loss }) => [name, loss])).toEqual([
      ['a', [2]],
      ['b', [3, 1]],
    ])
    const rows = rowsOf(html)
    expect(rows).toContainEqual(['Training loss', '2 → 2', '3 → 1'])
    expect(rows).toContainEqual(['b, step 2', 'two'])
    expect(rows).not.toContainEqual(['b, step 1', 'early'])
    const names = rows.map(([name]) => name)
    expect(names.slice(names.indexOf('learningRate'))).toEqual(['learningRate', 'rank', 'seed'])
    expect(rows).toContainEqual(['rank', '–', '4'])
    expect(html.match(/class="differs"/g)).toHaveLength(2)
  })

  it('runs are called by the shortest ends of their paths that tell them apart', () => {
    expect(namesOf(['out/a/', './out/b'])).toEqual(['a', 'b'])
    expect(namesOf(['x/run', 'y/run'])).toEqual(['x/run', 'y/run'])
    expect(namesOf(['only/run'])).toEqual(['run'])
    expect(namesOf(['same', 'same'])).toEqual(['same', 'same'])
  })
})

describe('smooth', () => {
  it('begins at the first value and keeps a constant', () => {
    expect(smooth([3, 3, 3])).toEqual([3, 3, 3])
    // (0.9·0.1·1 + 0.1·2) / (0.9·0.1 + 0.1)
    expect(smooth([1, 2])[1]).toBeCloseTo(0.29 / 0.19, 5)
  })
})
