/** @file Graphs of decoder folders against PyTorch's logits at every position. */
import { describe, expect, it } from 'vitest'
import { nodeRuntime } from '../../src/runtime/ort-node.js'
import { buildFolder, floats, hostTensor, positionIds, relativeError, tensorsOf } from './golden.js'

const runtime = nodeRuntime({ threads: 1 })

describe.each([
  'gpt2',
  'gpt2-all-linear',
  'llama',
  'llama-all-linear',
  'llama-rslora',
  'llama-patterns',
  'mistral',
  'qwen2',
  'qwen3',
  'gemma2',
  'gemma3',
  'phi3',
  'gpt_neox',
])('golden %s', (name) => {
  const folder = `test/fixtures/golden/peft/${name}`

  it('gives the logits of PyTorch at every position, padding included', async () => {
    const tensors = await tensorsOf(`${folder}/tensors.safetensors`)
    const { graph } = await buildFolder(`${folder}/model`)
    const session = await runtime.createSession(graph)
    const ids = await hostTensor(tensors, 'input.input_ids')
    const mask = await hostTensor(tensors, 'input.attention_mask')
    const { logits } = await session.run({
      input_ids: ids,
      attention_mask: mask,
      position_ids: positionIds(ids.shape[0]!, ids.shape[1]!),
    })
    await session.release()
    expect(logits!.shape).toEqual([...ids.shape, 96])
    expect(relativeError(logits!.data as Float32Array, await floats(tensors, 'base_logits'))).toBeLessThan(1e-6)
  })
})
