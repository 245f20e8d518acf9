/**
 * @file Encoders against PyTorch and PEFT: loss, logits and every gradient, of LoRA and of the classifier that is trained with
 * it.
 */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { attachLora } from '../../src/adapters/lora.js'
import { differentiate } from '../../src/autodiff/index.js'
import { GraphBuilder } from '../../src/graph/builder.js'
import { int64 } from '../../src/graph/constants.js'
import type { Graph } from '../../src/graph/graph.js'
import { elementCount, int, type HostTensor, type Value } from '../../src/graph/types.js'
import type { ModelGraph } from '../../src/models/architecture.js'
import type { Weights } from '../../src/models/model-builder.js'
import { buildModel } from '../../src/models/registry.js'
import { nodeRuntime } from '../../src/runtime/ort-node.js'
import { floats, hostTensor, readConfig, relativeError, tensorsOf } from './golden.js'

const runtime = nodeRuntime({ threads: 1 })

const buildEncoder = async (folder: string): Promise<ModelGraph> =>
  buildModel(readConfig(`${folder}/config.json`), await tensorsOf(`${folder}/model.safetensors`), { mode: 'full' }, folder)

/** What the case feeds; a single text is all of type 0. */
async function feedsOf(tensors: Weights, { inputs }: Graph): Promise<Record<string, HostTensor>> {
  const given = [...tensors.keys()].filter((name) => name.startsWith('input.'))
  const feeds = Object.fromEntries(
    await Promise.all(given.map(async (name) => [name.slice('input.'.length), await hostTensor(tensors, name)] as const)),
  )
  if (inputs.some(({ name }) => name === 'token_type_ids')) {
    const { shape } = feeds['input_ids']!
    feeds['token_type_ids'] = int64(shape, new Array<number>(elementCount(shape)).fill(0))
  }
  return feeds
}

/** Mean of −log softmax(logits)[label]; adds the input `labels` int64 [batch]. */
function meanCrossEntropy(graph: Graph, logits: Value): Value {
  const b = new GraphBuilder(graph)
  const labels = b.unsqueeze(graph.addInput('labels', 'int64', ['batch']), [1])
  const picked = b.emit('GatherElements', [b.emit('LogSoftmax', [logits], { axis: int(-1) }), labels], { axis: int(1) })
  return b.neg(b.emit('ReduceMean', [picked], { keepdims: int(0) }))
}

interface Case {
  readonly base_loss: number
  readonly loss: number
}

describe.each(['bert', 'roberta', 'distilbert', 'deberta-v2', 'vit'])('golden %s', (name) => {
  const folder = `test/fixtures/golden/peft/${name}`
  const expected = JSON.parse(readFileSync(`${folder}/case.json`, 'utf8')) as Case

  it('loss and logits of the base', async () => {
    const { graph, output } = await buildEncoder(`${folder}/model`)
    const tensors = await tensorsOf(`${folder}/tensors.safetensors`)
    graph.outputs.push(meanCrossEntropy(graph, output))
    const session = await runtime.createSession(graph)
    const results = await session.run(await feedsOf(tensors, graph))
    await session.release()
    expect(relativeError(results['logits']!.data as Float32Array, await floats(tensors, 'base_logits'))).toBeLessThan(1e-6)
    const loss = results[graph.outputs[1]!.name]!.data[0] as number
    expect(Math.abs(loss - expected.base_loss)).toBeLessThan(1e-6 * expected.base_loss)
  })

  it('loss, logits and every gradient with the adapter', async () => {
    const tensors = await tensorsOf(`${folder}/tensors.safetensors`)
    const adapter = await tensorsOf(`${folder}/adapter/adapter_model.safetensors`)
    const { lora_alpha: alpha, r } = JSON.parse(readFileSync(`${folder}/adapter/adapter_config.json`, 'utf8')) as Record<
      'lora_alpha' | 'r',
      number
    >
    const base = await buildEncoder(`${folder}/model`)
    const parameters = new Map<string, HostTensor>()
    for (const key of adapter.keys()) parameters.set(key, await hostTensor(adapter, key))
    const targets = [...base.graph.modules.values()]
      .filter((module) => parameters.has(`base_model.model.${module.name}.lora_A.weight`))
      .map((module) => ({ module, r, alpha, scale: alpha / r }))
    const { graph } = attachLora(base.graph, targets, { scaling: 'graph' })
    const saved = [...parameters.keys()].filter((key) => !key.includes('.lora_'))
    const promoted = saved.map((key) => graph.promoteToInput(key.replace('base_model.model.', '')))
    const loras = [...parameters.keys()].filter((key) => key.includes('.lora_')).map((key) => graph.value(key))
    const loss = meanCrossEntropy(graph, graph.outputs[0]!)
    const { graph: step, gradients } = differentiate(graph, loss, [...loras, ...promoted])
    step.outputs = [graph.outputs[0]!, loss, ...gradients.values()]
    const session = await runtime.createSession(step)
    const results = await session.run({
      ...(await feedsOf(tensors, step)),
      ...Object.fromEntries(loras.map((value) => [value.name, parameters.get(value.name)!])),
      ...Object.fromEntries(saved.map((key, i) => [promoted[i]!.name, parameters.get(key)!])),
    })
    await session.release()

    expect(relativeError(results['logits']!.data as Float32Array, await floats(tensors, 'logits'))).toBeLessThan(1e-6)
    expect(Math.abs((results[loss.name]!.data[0] as number) - expected.loss)).toBeLessThan(1e-6 * expected.loss)
    const theirs = [...tensors.keys()].filter((key) => key.startsWith('grad.'))
    expect(theirs).toHaveLength(gradients.size)
    for (const key of theirs) {
      const plain = key.replace('grad.', '').replace('.modules_to_save.default', '').replace('.default', '')
      const gradient = gradients.get(plain) ?? gradients.get(plain.replace('base_model.model.', ''))
      const error = relativeError(results[gradient!.name]!.data as Float32Array, await floats(tensors, key))
      expect(error, key).toBeLessThan(1e-5)
    }
  })

  it('logits of the merged model, saved by PEFT', async () => {
    const { graph } = await buildEncoder(`${folder}/merged`)
    const tensors = await tensorsOf(`${folder}/tensors.safetensors`)
    const session = await runtime.createSession(graph)
    const { logits } = await session.run(await feedsOf(tensors, graph))
    await session.release()
    expect(relativeError(logits!.data as Float32Array, await floats(tensors, 'logits_merged'))).toBeLessThan(1e-5)
  })
})
