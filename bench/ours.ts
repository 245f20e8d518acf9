/** @file lowrank in a process of its own, through its public functions: rows are read and tokenised while it trains. */
import { createInterface } from 'node:readline'
import { evaluate, generate, loadAdapter, loadModel, merge, train, type Adapter, type Model } from '../src/index.js'
import type { Case } from './cases.js'
import { forwardSeconds } from './inner.js'
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

  /** Forward passes over the first batch; session creation and the first pass do not count. */
  async forward(merged: boolean, count: number): Promise<number[]> {
    return forwardSeconds(merged ? await this.merged() : this.adapter, this.spec.data, this.spec, count)
  }

  private async merged(): Promise<Model> {
    const out = `${this.spec.data}.merged`
    await merge(this.adapter).save(out, { overwrite: true })
    return loadModel(out, { threads })
  }

  /** Tokens a second; the first text compiles, and does not count. */
  async generate(inputIds: readonly number[], maxNewTokens: number, count: number): Promise<number[]> {
    const rates: number[] = []
    for (let i = -1; i < count; i++) {
      const { tokensPerSecond } = await generate(this.adapter, { inputIds, maxNewTokens, eosTokenIds: [] })
      if (i >= 0) rates.push(tokensPerSecond)
    }
    return rates
  }

  async evaluate(): Promise<number> {
    const { evalData, batchSize, maxLength } = this.spec
    return (await evaluate(this.adapter, { data: evalData!, batchSize, maxLength })).loss
  }
}

let run: Run | undefined
let threads = 1

async function answer(request: Request): Promise<Answer> {
  if (request.ask === 'prepare') {
    const { case: spec, engine, device = 'cpu' } = request
    threads = request.threads
    const base = engine === 'ours-int8' ? 'int8' : engine === 'ours-int4' ? 'int4' : 'fp32'
    run = new Run(spec, await loadAdapter(await loadModel(spec.model, { threads, base, device }), spec.adapter))
    return { peakBytes: peakBytes(), versions: `Node ${process.versions.node}` }
  }
  if (run === undefined) throw new Error('prepare first')
  if (request.ask === 'steps') return { steps: await run.steps(request.count), peakBytes: peakBytes() }
  if (request.ask === 'generate')
    return { rates: await run.generate(request.prompt, request.tokens, request.count), peakBytes: peakBytes() }
  if (request.ask === 'forward') return { seconds: await run.forward(request.merged, request.count), peakBytes: peakBytes() }
  return { loss: await run.evaluate(), peakBytes: peakBytes() }
}

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line) as Request
  if (request.ask === 'quit') break
  process.stdout.write(`${JSON.stringify(await answer(request))}\n`)
}
process.exit(0)
