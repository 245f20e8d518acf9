/** @file Attention in blocks of queries against PyTorch's logits and gradients, whatever the number of blocks. */
import { describe, expect, it } from 'vitest'
import { causalLmLoss } from '../../src/losses/causal-lm.js'
import { nodeRuntime } from '../../src/runtime/ort-node.js'
import { gradientGraph } from '../../src/train/gradient-graph.js'
import { attachLora, loraAName, loraBName } from '../../src/adapters/lora.js'
import { buildFolder, floats, hostTensor, positionIds, relativeError, tensorsOf } from './golden.js'

const runtime = nodeRuntime({ threads: 1 })

// 11 positions: even and uneven cuts, and one block a position.
describe.each(['gpt2', 'llama', 'mistral', 'qwen3', 'gemma2', 'phi3', 'gpt_neox'])(
  'attention of %s in blocks of queries',
  (name) => {
    const folder = `test/fixtures/golden/peft/${name}`

    it.each([2, 3, 4, 11])('in %i blocks gives the logits and gradients of PyTorch', async (queryBlocks) => {
      const tensors = await tensorsOf(`${folder}/tensors.safetensors`)
      const adapter = await tensorsOf(`${folder}/adapter/adapter_model.safetensors`)
      const built = await buildFolder(`${folder}/model`, { mode: 'full', queryBlocks })
      const ids = await hostTensor(tensors, 'input.input_ids')
      const feeds = {
        input_ids: ids,
        attention_mask: await hostTensor(tensors, 'input.attention_mask'),
        position_ids: positionIds(ids.shape[0]!, ids.shape[1]!),
      }
      const forward = await runtime.createSession(built.graph)
      const { logits } = await forward.run(feeds)
      await forward.release()
      expect(relativeError(logits!.data as Float32Array, await floats(tensors, 'base_logits'))).toBeLessThan(1e-6)

      const targets = [...built.graph.modules.values()]
        .filter((module) => adapter.has(loraAName(module.name)))
        .map((module) => ({ module, r: 4, alpha: 8, scale: 2 }))
      const attached = attachLora(built.graph, targets, { scaling: 'graph' })
      const { graph, loss } = causalLmLoss(attached.graph, {
        hidden: built.hidden,
        logits: attached.graph.outputs[0]!,
        chunks: 1,
      })
      const session = await runtime.createSession(gradientGraph(graph, loss, attached.parameters))
      const names = targets.flatMap(({ module }) => [loraAName(module.name), loraBName(module.name)])
      const matrices = Object.fromEntries(await Promise.all(names.map(async (n) => [n, await hostTensor(adapter, n)] as const)))
      const labels = await hostTensor(tensors, 'input.labels')
      const { gradient } = await session.run({ ...feeds, ...matrices, labels })
      await session.release()
      const sequence = labels.shape[1]!
      const tokens = Array.from(labels.data as BigInt64Array).filter((label, i) => i % sequence > 0 && label !== -100n).length
      const expected: number[] = []
      for (const n of names) expected.push(...(await floats(tensors, `grad.${n.replace(/\.weight$/, '.default.weight')}`)))
      expect(
        relativeError(
          (gradient!.data as Float32Array).map((g) => g / tokens),
          expected,
        ),
      ).toBeLessThan(1e-5)
    })
  },
)
