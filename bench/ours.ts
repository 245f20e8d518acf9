/** @file lowrank in a process of its own, through its public functions: rows are read and tokenised while it trains. */
import { createInterface } from 'node:readline'
import { evaluate, loadAdapter, loadModel, train, type Adapter } from '../src/index.js'
import type { Case } from './cases.js'
import { peakBytes } from './peak-memory.js'
import type { Answer, Request, Step } from './protocol.js'

class Run {
  private readonly events
  constructor(
    readonly spec: Case,
    readonly adapter: Adapter,
  ) {
    const { data, steps, batchSize, learningRate, maxLength } = spec
    this.events = train(adapter, {
      data,
      steps,
      batchSize,
      learningRate,
      maxLength,
      shuffle: false,
      weightDecay: 0,
      maxGradNorm: 1,
    })
  }

  /** The clock runs from the demand for a step to its event: reading, tokenising, gradient, clipping, update. */
  async steps(count: number): Promise<Step[]> {
    const steps: Step[] = []
    while (steps.length < count) {
      const [started, cpu] = [performance.now(), process.cpuUsage()]
      const { value, done } = await this.events.next()
      if (done === true) break
      if (value.event !== 'step') continue
      const { user, system } = process.cpuUsage(cpu)
      const seconds = (performance.now() - started) / 1000
      steps.push({ seconds, cpuSeconds: (user + system) / 1e6, loss: value.loss, tokens: value.tokens })
    }
    return steps
  }

  async evaluate(): Promise<number> {
    const { evalData, batchSize, maxLength } = this.spec
    return (await evaluate(this.adapter, { data: evalData!, batchSize, maxLength })).loss
  }
}

let run: Run | undefined

async function answer(request: Request): Promise<Answer> {
  if (request.ask === 'prepare') {
    const { case: spec, threads } = request
    run = new Run(spec, await loadAdapter(await loadModel(spec.model, { threads }), spec.adapter))
    return { peakBytes: peakBytes(), versions: `Node ${process.versions.node}` }
  }
  if (run === undefined) throw new Error('prepare first')
  if (request.ask === 'steps') return { steps: await run.steps(request.count), peakBytes: peakBytes() }
  return { loss: await run.evaluate(), peakBytes: peakBytes() }
}

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line) as Request
  if (request.ask === 'quit') break
  process.stdout.write(`${JSON.stringify(await answer(request))}\n`)
}
process.exit(0)
