/**
 * @file What a terminal, a pipe and --json are shown of a run: the status line, colours by NO_COLOR and FORCE_COLOR, the
 * training view.
 */
import { describe, expect, it } from 'vitest'
import { terminal } from './terminal.js'
import { TrainingView } from './training-view.js'
import type { DoneEvent, TrainEvent } from '../index.js'

/** What a stream was given. */
function recorder(isTTY: boolean): { isTTY: boolean; text: string; write(text: string): void } {
  return {
    isTTY,
    text: '',
    write(text) {
      this.text += text
    },
  }
}

const CLEAR = '\r\u001b[2K'

describe('terminal', () => {
  it('keeps the status line below what is printed', () => {
    const [out, err] = [recorder(true), recorder(true)]
    const output = terminal(out, err, {}, false)
    output.status('half')
    output.note('a note')
    output.status(undefined)
    expect(err.text).toBe(`half${CLEAR}a note\nhalf${CLEAR}`)
  })

  it('has no status line off a terminal, and none with --json', () => {
    for (const [tty, json] of [
      [false, false],
      [true, true],
    ] as const) {
      const err = recorder(tty)
      const output = terminal(recorder(tty), err, {}, json)
      output.status('half')
      expect([output.live, err.text]).toEqual([false, ''])
    }
  })

  it('honours NO_COLOR, FORCE_COLOR and pipes', () => {
    const bold = (tty: boolean, env: Record<string, string>): boolean =>
      terminal(recorder(tty), recorder(tty), env, false).color.bold('x') !== 'x'
    expect(bold(true, {})).toBe(true)
    expect(bold(true, { NO_COLOR: '1' })).toBe(false)
    expect(bold(false, {})).toBe(false)
    expect(bold(false, { FORCE_COLOR: '1' })).toBe(true)
    expect(bold(false, { FORCE_COLOR: '1', NO_COLOR: '1' })).toBe(false)
    expect(bold(true, { TERM: 'dumb' })).toBe(false)
  })
})

describe('TrainingView', () => {
  const step = (n: number): TrainEvent => ({
    event: 'step',
    step: n,
    epoch: 0,
    loss: 2,
    gradNorm: 1,
    learningRate: 1e-3,
    tokens: 10,
    tokensPerSecond: 1000,
  })
  const start: TrainEvent = { event: 'start', steps: 200, resumedAt: 100, trainableParameters: 5, totalParameters: 1000, rows: 7 }

  it('draws a bar with loss, speed and the time left, which counts from the resume', () => {
    const err = recorder(true)
    let time = 0
    const view = new TrainingView(terminal(recorder(true), err, { NO_COLOR: '1' }, false), () => time)
    view.show(start)
    time = 50_000
    view.show(step(150))
    view.close()
    expect(err.text).toContain('7 rows, 200 steps, resumed after step 100; training 5 of 1,000 parameters (0.5 %)')
    expect(err.text).toContain('━━━━━━━━━━━━━━━━━━╌╌╌╌╌╌ 150/200  loss 2  1,000 tokens/s  ETA 0:50')
    expect(err.text.endsWith(CLEAR)).toBe(true)
  })

  it('prints a line now and then off a terminal', () => {
    const err = recorder(false)
    const view = new TrainingView(terminal(recorder(false), err, {}, false), () => 0)
    view.show({ ...start, resumedAt: 0 })
    for (let n = 1; n <= 200; n++) view.show(step(n))
    expect(err.text.match(/^step \d+\/200/gm)).toHaveLength(21)
    for (const [loss, shown] of [
      [3.21e-6, '0.00000321'],
      [2.123456, '2.1235'],
      [Number.NaN, 'NaN'],
    ] as const) {
      // prettier-ignore
      view.show({ ...step(200), loss } as TrainEvent)
      expect(err.text.trimEnd().split('\n').at(-1)).toContain(`step 200/200  loss ${shown}  `)
    }
  })

  it('shows by what an evaluation is the best, beside the first metric of the task', () => {
    const err = recorder(false)
    const view = new TrainingView(terminal(recorder(false), err, {}, false), () => 0, 'macroF1')
    view.show({ event: 'eval', step: 5, loss: 0.5, accuracy: 0.75, macroF1: 0.625, best: true } as TrainEvent)
    expect(err.text).toBe('step 5: evaluation loss 0.5, accuracy 0.75, macro F1 0.625  best so far\n')
  })

  it('tells an interrupted run from a finished one', () => {
    const out = recorder(false)
    const view = new TrainingView(terminal(out, recorder(false), {}, false), () => 0)
    const done: DoneEvent = {
      event: 'done',
      reason: 'aborted',
      steps: 150,
      loss: 1.5,
      trainableParameters: 5,
      totalParameters: 9,
      peakMemoryBytes: 2e8,
      seconds: 61,
      stoppedEarly: false,
      out: 'out',
    }
    view.show({ ...start, resumedAt: 0 })
    view.show(done)
    view.show({ ...done, reason: 'stoppedEarly', stoppedEarly: true, saved: 'out', bestStep: 100, bestEvalLoss: 1.25 })
    view.show({ ...done, reason: 'finished', steps: 200, saved: 'out' })
    expect(out.text.split('\n').filter((line) => !line.startsWith('adapter'))).toEqual([
      'interrupted: 150 steps in 1:01, loss 1.5, peak memory 200 MB',
      'stopped early: 150 steps in 1:01, loss 1.5, peak memory 200 MB',
      'done: 200 steps in 1:01, loss 1.5, peak memory 200 MB',
      '',
    ])
    expect(out.text.match(/^adapter in out.*/gm)).toEqual([
      'adapter in out (the best: step 100, evaluation loss 1.25), report in out/report.html',
      'adapter in out, report in out/report.html',
    ])
  })
})
