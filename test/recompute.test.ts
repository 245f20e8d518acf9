/**
 * @file Activation recomputation: the same loss and gradients, with the activations inside blocks no longer read by the
 * backward pass.
 */
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { createAdapter } from '../src/adapter/adapter.js'
import { recompute } from '../src/autodiff/recompute.js'
import { int64 } from '../src/graph/constants.js'
import type { Graph } from '../src/graph/graph.js'
import { loadModel } from '../src/index.js'
import { causalLmLoss } from '../src/losses/causal-lm.js'
import { gradientGraph } from '../src/train/gradient-graph.js'
import { adapterTrainee } from '../src/train/trainee.js'
import { golden } from './cli/run-cli.js'

/** Floating-point values of the forward pass that the backward pass reads, by name. */
function kept(graph: Graph): string[] {
  const needed = new Set(['loss'])
  for (const node of [...graph.nodes].reverse())
    if (node.outputs.some((o) => needed.has(o))) for (const i of node.inputs) needed.add(i)
  const forward = new Set(graph.nodes.flatMap((n) => n.outputs).filter((o) => needed.has(o)))
  const backward = graph.nodes.filter((n) => !n.outputs.some((o) => needed.has(o)))
  const read = backward.flatMap((n) => n.inputs.filter((i) => forward.has(i) && graph.value(i).dtype === 'float32'))
  return [...new Set(read)]
}

it.each(['llama', 'gpt2', 'gpt2-all-linear', 'qwen3'])('%s', async (name) => {
  const model = await loadModel(join(golden, name, 'model'), { threads: 1 })
  const adapter = createAdapter(model, { r: 4, alpha: 8, targetModules: 'all-linear', initLoraWeights: false, dropout: 0.1 })
  const trainee = adapterTrainee(adapter)
  const built = trainee.build({ mode: 'full', positions: 16, queryBlocks: 2, training: true })
  const { graph, loss } = causalLmLoss(built.graph, { hidden: built.hidden, logits: built.graph.outputs[0]!, chunks: 2 })
  const plain = gradientGraph(graph, loss, built.parameters)
  const again = recompute(plain, 'loss')

  const layers = new Set([...model.modules.keys()].flatMap((m) => /\.(\d+)\./.exec(m)?.[1] ?? [])).size
  expect(layers).toBeGreaterThan(1)
  // All but the last block fall away, apart from what crosses between blocks.
  expect(kept(again).length).toBeLessThan(kept(plain).length * (1 / layers + 0.25))

  const ids = Array.from({ length: 24 }, (_, i) => (i * 7) % model.vocabularySize)
  const feeds = {
    input_ids: int64([2, 12], ids),
    attention_mask: int64(
      [2, 12],
      ids.map((_, i) => (i < 21 ? 1 : 0)),
    ),
    position_ids: int64(
      [2, 12],
      ids.map((_, i) => i % 12),
    ),
    labels: int64(
      [2, 12],
      ids.map((id, i) => (i % 3 === 0 || i >= 21 ? -100 : id)),
    ),
    dropout_seed: { dtype: 'uint32' as const, shape: [1], data: Uint32Array.of(7) },
    ...Object.fromEntries(adapter.tensors),
  }
  const results = []
  for (const g of [plain, again]) {
    const session = await model.environment.runtime.createSession(g)
    const wanted = new Set(g.inputs.map((i) => i.name))
    results.push(await session.run(Object.fromEntries(Object.entries(feeds).filter(([key]) => wanted.has(key)))))
    await session.release()
  }
  expect(results[1]!['loss']!.data[0]).toBe(results[0]!['loss']!.data[0])
  const [a, b] = results.map((r) => r['gradient']!.data as Float32Array) as [Float32Array, Float32Array]
  expect(a.some((v) => v !== 0)).toBe(true)
  let largest = 0
  let difference = 0
  a.forEach((v, i) => {
    largest = Math.max(largest, Math.abs(v))
    difference = Math.max(difference, Math.abs(v - b[i]!))
  })
  expect(difference).toBeLessThan(largest * 1e-5)
})
