/**
 * @file A process that runs golden cases on a device and on the CPU, and prints one JSON line for each: WebGPU without a GPU
 * needs libraries on the loader's path before Node starts. Arguments: device, then cases as `peft/NAME`, `onnx/NAME` or `recurrent/NAME`.
 */
import { readFileSync } from 'node:fs'
import { attachLora, loraAName, loraBName, type LoraTarget } from '../../src/adapters/lora.js'
import { differentiate } from '../../src/autodiff/differentiate.js'
import { findModules } from '../../src/onnx-model/find-modules.js'
import type { Graph } from '../../src/graph/graph.js'
import type { HostTensor, Value } from '../../src/graph/types.js'
import { causalLmLoss } from '../../src/losses/causal-lm.js'
import { crossEntropyLoss } from '../../src/losses/cross-entropy.js'
import { lower } from '../../src/lower/lower.js'
import { decodeModel } from '../../src/onnx/decode.js'
import { deviceReport, type DeviceReport } from '../../src/runtime/device/device-report.js'
import { nodeRuntime } from '../../src/runtime/ort-node.js'
import type { Device } from '../../src/runtime/runtime.js'
import { gradientGraph, GRADIENT_OUTPUT, LOSS_OUTPUT } from '../../src/train/gradient-graph.js'
import { loadAdapter, loadModel } from '../../src/index.js'
import { hostTensor, positionIds, relativeError, tensorsOf } from '../models/golden.js'

/** What is printed for a case. */
export interface DeviceResult {
  readonly name: string
  /** Relative to the loss on the CPU. */
  readonly lossError: number
  /** The worst gradient, norm-wise against the CPU. */
  readonly gradientError: number
  readonly report: DeviceReport
  readonly nodes: number
}

interface Case {
  readonly graph: Graph
  readonly feeds: Readonly<Record<string, HostTensor>>
  readonly loss: string
  readonly gradients: readonly string[]
}

async function peftCase(name: string): Promise<Case> {
  const folder = `test/fixtures/golden/peft/${name}`
  const model = await loadModel(`${folder}/model`, { threads: 1 })
  const adapter = await loadAdapter(model, `${folder}/adapter`)
  const built = model.build({ mode: 'full' })
  const attached = adapter.attach(built.graph)
  const { graph, loss } = causalLmLoss(attached.graph, { hidden: built.hidden, logits: attached.graph.outputs[0]!, chunks: 2 })
  const tensors = await tensorsOf(`${folder}/tensors.safetensors`)
  const ids = await hostTensor(tensors, 'input.input_ids')
  return {
    graph: gradientGraph(graph, loss, attached.parameters),
    feeds: {
      input_ids: ids,
      attention_mask: await hostTensor(tensors, 'input.attention_mask'),
      labels: await hostTensor(tensors, 'input.labels'),
      position_ids: positionIds(ids.shape[0]!, ids.shape[1]!),
      ...Object.fromEntries(adapter.tensors),
    },
    loss: LOSS_OUTPUT,
    gradients: [GRADIENT_OUTPUT],
  }
}

async function onnxCase(folder: string): Promise<Case> {
  const golden = JSON.parse(readFileSync(`${folder}/case.json`, 'utf8')) as { r: number; alpha: number }
  const tensors = await tensorsOf(`${folder}/tensors.safetensors`)
  const { graph } = lower(decodeModel(new Uint8Array(readFileSync(`${folder}/model.onnx`)), { source: folder }))
  const modules = findModules(graph)
  const names = [...tensors.keys()].flatMap((key) => /^param\.(.*)\.lora_A\.default\.weight$/.exec(key)?.[1] ?? [])
  const targets = names.map((module): LoraTarget => ({ module: modules.get(module)!, ...golden, scale: golden.alpha / golden.r }))
  const adapted = attachLora(graph, targets, { scaling: 'graph' })
  const { graph: withLoss, loss } = crossEntropyLoss(adapted.graph, adapted.graph.outputs[0]!)
  const { graph: full, gradients } = differentiate(withLoss, loss, adapted.parameters)
  const results: Value[] = [loss, ...gradients.values()]
  full.outputs = results
  full.prune()
  const feeds: Record<string, HostTensor> = {}
  for (const { name: input } of full.inputs)
    for (const key of [`input.${input}`, input]) if (tensors.has(key)) feeds[input] = await hostTensor(tensors, key)
  for (const module of names) {
    feeds[loraAName(module)] = await hostTensor(tensors, `param.${module}.lora_A.default.weight`)
    feeds[loraBName(module)] = await hostTensor(tensors, `param.${module}.lora_B.default.weight`)
  }
  return { graph: full, feeds, loss: loss.name, gradients: [...gradients.values()].map((g) => g.name) }
}

const [device, ...names] = process.argv.slice(2) as [Device, ...string[]]
for (const name of names) {
  const [kind, id] = name.split('/') as [string, string]
  const { graph, feeds, loss, gradients } = await (kind === 'peft'
    ? peftCase(id)
    : onnxCase(`test/fixtures/${kind === 'onnx' ? 'golden' : 'onnx'}/${name}`))
  const wanted = Object.fromEntries(Object.entries(feeds).filter(([input]) => graph.inputs.some((i) => i.name === input)))
  const results = []
  for (const where of ['cpu', device] as const) {
    const session = await nodeRuntime({ device: where, threads: 1 }).createSession(graph)
    results.push(await session.run(wanted))
    // The runtime forgets its shaders with its last session: of a GPU they stay for the next case.
    if (where !== 'webgpu') await session.release()
  }
  const [cpu, other] = results as [Record<string, HostTensor>, Record<string, HostTensor>]
  const floats = (tensor: HostTensor | undefined): Float32Array => tensor!.data as Float32Array
  const errors = gradients.map((g) => relativeError(floats(other[g]), floats(cpu[g])))
  const lossError = Math.abs(floats(other[loss])[0]! / floats(cpu[loss])[0]! - 1)
  // A NaN is not below any bound, but JSON has no NaN.
  const finite = (x: number): number => (Number.isFinite(x) ? x : 1e9)
  const result: DeviceResult = {
    name,
    lossError: finite(lossError),
    gradientError: finite(errors.reduce((a, b) => (b <= a ? a : b), 0)),
    report: deviceReport(graph, device),
    nodes: graph.nodes.length,
  }
  process.stdout.write(`${JSON.stringify(result)}\n`)
}
process.exit(0)
