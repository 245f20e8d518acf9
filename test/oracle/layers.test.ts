/** @file Single layers of every kind against PEFT: outputs, gradients and merged weights; the fixture comes from write-layers.py. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { attachParts } from '../../src/adapters/attach.js'
import { LoraPart } from '../../src/adapters/lora.js'
import { applyDelta } from '../../src/adapters/weight-delta.js'
import { differentiate } from '../../src/autodiff/differentiate.js'
import { GraphBuilder } from '../../src/graph/builder.js'
import { float32, int64 } from '../../src/graph/constants.js'
import { Graph } from '../../src/graph/graph.js'
import type { TargetModule, ModuleKind } from '../../src/graph/target-module.js'
import { int, ints, type HostTensor } from '../../src/graph/types.js'
import { nodeRuntime } from '../../src/runtime/ort-node.js'
import { relativeError } from '../models/golden.js'

interface Numbers {
  readonly shape: readonly number[]
  readonly data: readonly number[]
}
interface Case {
  readonly kind: string
  readonly variant: 'lora' | 'dora' | 'bias'
  readonly x: Numbers
  readonly base: Readonly<Record<string, readonly number[]>>
  readonly weight_shape: readonly number[]
  readonly tensors: Readonly<Record<string, Numbers>>
  readonly y: Numbers
  readonly gy: readonly number[]
  readonly grads: Readonly<Record<string, readonly number[]>>
  readonly merged: Readonly<Record<string, readonly number[]>> | null
}

const path = join(import.meta.dirname, '../fixtures/peft-layers/layers.json')
const { cases } = JSON.parse(readFileSync(path, 'utf8')) as { cases: Case[] }
const floats = (shape: readonly number[], values: readonly number[]): HostTensor => float32(shape, Float32Array.from(values))

/** Strides and pads of the layers in layers.py. */
const windows: Readonly<Record<string, { strides?: number[]; pads?: number[]; groups?: number }>> = {
  Conv1d: { strides: [2], pads: [1, 1] },
  Conv2d: { pads: [1, 1, 1, 1] },
  'Conv2d-groups': { groups: 2 },
}

/** A graph of one layer named f. */
function layerGraph({ kind, base, weight_shape: shape, x, y }: Case): { graph: Graph; module: TargetModule } {
  const graph = new Graph(kind)
  const b = new GraphBuilder(graph)
  const input = graph.addInput('x', kind === 'Embedding' ? 'int64' : 'float32', x.shape)
  const weight = graph.addInitializer('f.weight', floats(shape, base['weight']!))
  const bias = base['bias'] && graph.addInitializer('f.bias', floats([base['bias'].length], base['bias']))
  const common = { name: 'f', weight: 'f.weight', bias: bias?.name, input: 'x', isOutputHead: false }
  const [first = 0, second = 0, ...kernel] = shape
  if (kernel.length > 0) {
    const { strides, pads, groups = 1 } = windows[kind] ?? {}
    const attributes = { kernel_shape: ints(kernel), group: int(groups), ...(strides && { strides: ints(strides) }), ...(pads && { pads: ints(pads) }) } // prettier-ignore
    const output = b.emit('Conv', [input, weight, bias], attributes, { shapes: [y.shape] })
    const convolution = { kernel, groups, attributes }
    const name = kind.replace('-groups', '') as ModuleKind
    return withModule(graph, {
      ...common,
      kind: name,
      output: output.name,
      inFeatures: second * groups,
      outFeatures: first,
      convolution,
    })
  }
  const output = kind === 'Embedding' ? b.gather(weight, input) : b.gemm(input, weight, { c: bias, transB: kind === 'Linear' })
  const [inFeatures, outFeatures] = kind === 'Linear' ? [second, first] : [first, second]
  return withModule(graph, { ...common, kind: kind as ModuleKind, output: output.name, inFeatures, outFeatures })
}

function withModule(graph: Graph, module: TargetModule): { graph: Graph; module: TargetModule } {
  graph.modules.set('f', module)
  graph.outputs = [graph.value(module.output)]
  return { graph, module }
}

describe.each(cases)('$kind, $variant', (given) => {
  const { graph, module } = layerGraph(given)
  const part = new LoraPart(
    { module, r: 2, alpha: 3, scale: 1.5 },
    { useDora: given.variant === 'dora', loraBias: given.variant === 'bias' },
  )

  it('gives the outputs and gradients of PEFT', async () => {
    expect(part.tensors.map(({ name, shape }) => [name, shape]).sort()).toEqual(
      Object.entries(given.tensors)
        .map(([name, { shape }]) => [name, shape])
        .sort(),
    )
    for (const scaling of ['graph', 'tensors'] as const) {
      const attached = attachParts(graph, [part], { scaling })
      const b = new GraphBuilder(attached.graph)
      const y = attached.graph.outputs[0]!
      const loss = b.sumAll(b.mul(y, b.constant(floats(given.y.shape, given.gy))))
      const { graph: full, gradients } = differentiate(attached.graph, loss, attached.parameters)
      full.outputs = [y, ...gradients.values()]
      full.prune()
      const scales = new Map(part.tensors.map(({ name, scale }) => [name, scaling === 'tensors' ? (scale ?? 1) : 1]))
      const feeds = Object.fromEntries(
        Object.entries(given.tensors).map(([name, { shape, data }]) => [name, floats(shape, data.map((v) => v * scales.get(name)!))]), // prettier-ignore
      )
      const session = await nodeRuntime({ threads: 1 }).createSession(full)
      const x = given.kind === 'Embedding' ? int64(given.x.shape, given.x.data) : floats(given.x.shape, given.x.data)
      const results = await session.run({ ...feeds, x })
      await session.release()
      expect(relativeError(results[y.name]!.data as Float32Array, given.y.data)).toBeLessThan(1e-5)
      for (const [name, expected] of Object.entries(given.grads)) {
        const found = results[gradients.get(name)!.name]!.data as Float32Array
        expect(relativeError(found.map((v) => v * scales.get(name)!), expected), name).toBeLessThan(1e-5) // prettier-ignore
      }
    }
  })

  it('merges as PEFT does', () => {
    const values = (name: string): Float32Array => Float32Array.from(given.tensors[name]!.data)
    if (given.merged === null) {
      expect(() => part.deltas(values)).toThrow('a convolution with 2 groups')
      return
    }
    const merged = new Map<string, Float32Array>(
      Object.entries(given.base).map(([name, data]) => [`f.${name}`, Float32Array.from(data)]),
    )
    for (const [weight, delta] of part.deltas(values)) {
      const shape = weight === 'f.weight' ? given.weight_shape : [merged.get(weight)!.length]
      merged.set(weight, applyDelta(merged.get(weight)!, shape, delta).weight)
    }
    for (const [name, expected] of Object.entries(given.merged))
      merged.get(`f.${name}`)!.forEach((value, i) => expect(Math.abs(value - expected[i]!), name).toBeLessThan(1e-6))
  })
})
