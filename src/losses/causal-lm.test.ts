/**
 * @file The loss in chunks against the loss in one piece: value and gradients, masked rows, dropout, and the arrays of its
 * backward pass.
 */
import { describe, expect, it } from 'vitest'
import {
  batchOf,
  gpt2Config,
  llamaConfig,
  randomRows,
  testEnvironment,
  tinyModel,
  type TokenRow,
} from '../../test/support/training.js'
import { createAdapter, type Adapter } from '../adapter/adapter.js'
import { differentiate } from '../autodiff/differentiate.js'
import { tensor } from '../graph/constants.js'
import type { HostTensor } from '../graph/types.js'
import { lowerLogSumExp } from '../lower/log-sum-exp.js'
import { causalLmLoss } from './causal-lm.js'

const environment = testEnvironment()

function adapterOn(json: typeof llamaConfig, targetModules: string[], dropout = 0): Adapter {
  const adapter = createAdapter(tinyModel(json, environment), { r: 2, targetModules, dropout, initLoraWeights: false })
  return adapter
}

const feedsOf = (adapter: Adapter, rows: readonly TokenRow[]): Record<string, HostTensor> => {
  const batch = batchOf(rows)
  return {
    input_ids: batch.feeds.input_ids,
    attention_mask: batch.feeds.attention_mask,
    position_ids: batch.feeds.position_ids,
    labels: batch.feeds.labels,
    dropout_seed: tensor('uint32', [1], [77]),
    ...Object.fromEntries(adapter.tensors),
  }
}

/** Loss and gradients by name. */
async function chunked(
  adapter: Adapter,
  rows: readonly TokenRow[],
  chunks: number,
  labelSmoothing = 0,
): Promise<Record<string, Float32Array>> {
  const built = adapter.model.build({ mode: 'full' })
  const attached = adapter.attach(built.graph, { dropout: true })
  const head = { hidden: built.hidden, logits: attached.graph.outputs[0]! }
  const { graph, loss } = causalLmLoss(attached.graph, { ...head, chunks, labelSmoothing })
  const { graph: backward, gradients } = differentiate(graph, loss, attached.parameters)
  backward.outputs = [loss, ...gradients.values()]
  backward.prune()
  const session = await environment.runtime.createSession(lowerLogSumExp(backward))
  const results = await session.run(feedsOf(adapter, rows))
  await session.release()
  const names = ['loss', ...gradients.keys()]
  return Object.fromEntries(backward.outputs.map(({ name }, i) => [names[i]!, results[name]!.data as Float32Array]))
}

/** Σ (1 − ε)·−log p[next label] + ε·mean of −log p, in float64 from the whole logits. */
async function plain(adapter: Adapter, rows: readonly TokenRow[], smoothing = 0): Promise<number> {
  const { graph } = adapter.attach(adapter.model.build({ mode: 'full' }).graph)
  const session = await environment.runtime.createSession(graph)
  const { logits } = await session.run(feedsOf(adapter, rows))
  await session.release()
  const [, sequence, vocabulary] = logits!.shape as [number, number, number]
  let loss = 0
  rows.forEach(({ labels }, r) =>
    labels.forEach((label, t) => {
      if (t === 0 || label === -100) return
      const start = (r * sequence + t - 1) * vocabulary
      const row = Array.from(logits!.data.subarray(start, start + vocabulary) as Float32Array)
      const normalizer = Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0))
      const mean = row.reduce((sum, x) => sum + x, 0) / vocabulary
      loss += normalizer - (1 - smoothing) * row[label]! - smoothing * mean
    }),
  )
  return loss
}

const close = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  const norm = Math.hypot(...Array.from(b))
  return Math.hypot(...Array.from(a, (x, i) => x - b[i]!)) / (norm === 0 ? 1 : norm)
}

const labelled = (count: number): TokenRow[] => {
  const ids = [3, 1, 4, 1, 5, 9, 2, 6]
  return [
    { input_ids: ids, labels: ids.map((id, i) => (i >= 1 && i <= count ? id : -100)) },
    { input_ids: ids.slice(0, 5), labels: ids.slice(0, 5).map(() => -100) },
  ]
}

describe.each([
  ['llama', llamaConfig, ['q_proj', 'down_proj']],
  ['gpt2, tied head', gpt2Config, ['c_attn', 'c_fc']],
  ['an adapted head', llamaConfig, ['q_proj', 'lm_head']],
] as const)('causalLmLoss on %s', (_name, json, targets) => {
  const adapter = adapterOn(json as typeof llamaConfig, [...targets])

  it.each([
    ['many rows', randomRows(5)],
    ['one labelled token', labelled(1)],
    ['two labelled tokens', labelled(2)],
    ['three labelled tokens', labelled(3)],
  ])('any number of chunks equals the plain computation: %s', async (_rows, rows) => {
    const expected = await plain(adapter, rows)
    const whole = await chunked(adapter, rows, 1)
    expect(Math.abs(whole['loss']![0]! - expected)).toBeLessThan(1e-5 * expected)
    for (let chunks = 2; chunks <= 7; chunks++) {
      const parts = await chunked(adapter, rows, chunks)
      for (const [name, values] of Object.entries(whole))
        expect(close(parts[name]!, values), `${name}, ${chunks} chunks`).toBeLessThan(1e-5)
    }
  })

  it('smoothed labels, in any number of chunks, equal the plain computation', async () => {
    const rows = randomRows(5)
    const expected = await plain(adapter, rows, 0.3)
    const whole = await chunked(adapter, rows, 1, 0.3)
    expect(Math.abs(whole['loss']![0]! - expected)).toBeLessThan(1e-5 * expected)
    expect(Math.abs(expected - (await plain(adapter, rows)))).toBeGreaterThan(1e-2)
    const parts = await chunked(adapter, rows, 3, 0.3)
    for (const [name, values] of Object.entries(whole)) expect(close(parts[name]!, values), name).toBeLessThan(1e-5)
  })

  it('all labels masked: loss and gradients are exactly 0', async () => {
    for (const chunks of [1, 3])
      for (const values of Object.values(await chunked(adapter, labelled(0), chunks)))
        expect(values.every((x) => x === 0)).toBe(true)
  })

  it('rows of a single token have nothing to predict', async () => {
    const { loss } = await chunked(adapter, [{ input_ids: [3], labels: [3] }], 2)
    expect(loss![0]! + 0).toBe(0)
  })
})

it.each([0, 0.1])(
  'the backward pass of a frozen head makes no array [labelled, vocabulary] but logits, softmax and the softmax without labels, each over the last (smoothing %d)',
  (labelSmoothing) => {
    const adapter = adapterOn(llamaConfig, ['q_proj'])
    const built = adapter.model.build({ mode: 'full' })
    const attached = adapter.attach(built.graph)
    const head = { hidden: built.hidden, logits: attached.graph.outputs[0]! }
    const { graph, loss } = causalLmLoss(attached.graph, { ...head, chunks: 1, labelSmoothing })
    const { graph: backward, gradients } = differentiate(graph, loss, attached.parameters)
    backward.outputs = [loss, ...gradients.values()]
    backward.prune()
    const vocabulary = adapter.model.vocabularySize
    const wide = lowerLogSumExp(backward).nodes.filter(({ outputs }) => {
      const { shape } = backward.values.get(outputs[0]!) ?? {}
      return shape?.length === 2 && shape[0] === 'labelled' && shape[1] === vocabulary
    })
    expect(wide.map(({ op }) => op).sort()).toEqual(['Gemm', 'Identity', 'Reshape', 'ScatterElements'])
  },
)

it('dropout before an adapted head drops the same elements, whatever the chunks', async () => {
  const adapter = adapterOn(llamaConfig, ['lm_head'], 0.4)
  const rows = randomRows(5)
  const whole = await chunked(adapter, rows, 1)
  expect(whole['loss']![0]).not.toBeCloseTo(await plain(adapter, rows), 3)
  for (const chunks of [2, 5]) {
    const parts = await chunked(adapter, rows, chunks)
    for (const [name, values] of Object.entries(whole)) expect(close(parts[name]!, values), name).toBeLessThan(1e-5)
  }
})
