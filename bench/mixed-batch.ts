/**
 * @file Many adapters on one base: throughput of a batch whose rows have adapters of their own beside a batch with one, and
 * the time of a switch.
 *
 *     npx tsx bench/mixed-batch.ts --adapters 8 --tokens 64 --rounds 7 --threads 2 [--model DIR]
 */
import { parseArgs } from 'node:util'
import { addLora, AdapterSet, generateBatch, loadModel, logits, Random, type Model } from '../src/index.js'
import { gpt2Small } from './models.js'
import { spread } from './statistics.js'

export interface MixedBatch {
  readonly adapters: number
  readonly batchSize: number
  readonly tokens: number
  /** Tokens a second through the whole model, all rows with one adapter, and each with its own. */
  readonly forward: { readonly one: number; readonly mixed: number }
  /** Generated tokens a second. */
  readonly generation: { readonly one: number; readonly mixed: number }
  /** Milliseconds of `setAdapter`: median and slowest. */
  readonly switch: { readonly median: number; readonly slowest: number }
}

export interface MixedBatchOptions {
  readonly adapters: number
  readonly tokens: number
  readonly rounds: number
}

/** A set of adapters with random matrices of rank 8 on all linear layers. */
async function randomSet(model: Model, count: number): Promise<AdapterSet> {
  const set = new AdapterSet(model)
  for (let i = 0; i < count; i++) {
    const adapter = await addLora(model, { r: 8, alpha: 16, targetModules: 'all-linear', seed: i })
    const random = Random.derive(i, 'bench')
    const { data } = adapter.parameters
    for (let k = 0; k < data.length; k++) data[k] = random.uniform(-0.02, 0.02)
    await set.add(`adapter-${i}`, adapter)
  }
  return set
}

/** The two are measured in turns, so that a slower minute of the machine is both's. */
export async function measureMixedBatch(model: Model, options: MixedBatchOptions): Promise<MixedBatch> {
  const { adapters, tokens, rounds } = options
  const set = await randomSet(model, adapters)
  const random = Random.derive(7, 'bench')
  const rows = Array.from({ length: adapters }, () => Array.from({ length: tokens }, () => random.integer(model.vocabularySize)))
  const names = [...set.names]
  set.setAdapter(names[0]!)
  const timed = async (body: () => Promise<unknown>): Promise<number> => {
    const started = performance.now()
    await body()
    return (performance.now() - started) / 1000
  }
  const work = {
    one: () => logits(set, rows),
    mixed: () => logits(set, rows, { adapters: names }),
    oneText: () =>
      generateBatch(
        set,
        rows.map((inputIds) => ({ inputIds })),
        text,
      ),
    mixedText: () =>
      generateBatch(
        set,
        rows.map((inputIds, i) => ({ inputIds, adapter: names[i]! })),
        text,
      ),
  }
  const text = { maxNewTokens: 24, eosTokenIds: [] }
  const seconds: Record<keyof typeof work, number[]> = { one: [], mixed: [], oneText: [], mixedText: [] }
  for (let round = -1; round < rounds; round++)
    for (const key of Object.keys(work) as (keyof typeof work)[]) {
      const spent = await timed(work[key])
      // The first round compiles.
      if (round >= 0) seconds[key].push(spent)
    }
  const switches: number[] = []
  for (let i = 0; i < 1000; i++) {
    const started = performance.now()
    set.setAdapter(names[i % names.length]!)
    switches.push(performance.now() - started)
  }
  const perSecond = (count: number, key: keyof typeof work): number => count / spread(seconds[key]).median
  const [read, written] = [adapters * tokens, adapters * text.maxNewTokens]
  return {
    ...{ adapters, batchSize: adapters, tokens },
    forward: { one: perSecond(read, 'one'), mixed: perSecond(read, 'mixed') },
    generation: { one: perSecond(written, 'oneText'), mixed: perSecond(written, 'mixedText') },
    switch: { median: spread(switches).median, slowest: Math.max(...switches) },
  }
}

/** Whether this file is the program. */
if (process.argv[1]?.endsWith('mixed-batch.ts') === true) {
  const { values } = parseArgs({
    options: {
      adapters: { type: 'string', default: '8' },
      tokens: { type: 'string', default: '64' },
      rounds: { type: 'string', default: '7' },
      threads: { type: 'string', default: '2' },
      model: { type: 'string' },
    },
  })
  const model = await loadModel(values.model ?? (await gpt2Small()), { threads: Number(values.threads) })
  const result = await measureMixedBatch(model, {
    adapters: Number(values.adapters),
    tokens: Number(values.tokens),
    rounds: Number(values.rounds),
  })
  const share = ({ one, mixed }: { one: number; mixed: number }): string =>
    `${one.toFixed(0)} tokens/s with one adapter, ${mixed.toFixed(0)} mixed: ${((100 * mixed) / one).toFixed(1)} %`
  process.stdout.write(
    `${result.adapters} adapters, ${result.batchSize} rows of ${result.tokens} tokens\n` +
      `forward     ${share(result.forward)}\n` +
      `generation  ${share(result.generation)}\n` +
      `switch      ${result.switch.median.toFixed(4)} ms, slowest of 1,000 ${result.switch.slowest.toFixed(3)} ms\n`,
  )
}
