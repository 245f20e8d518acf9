/** @file What an .onnx file holds, and which of its layers can be adapted. */
import { UnsupportedOpError } from '../errors.js'
import type { Graph } from '../graph/graph.js'
import { isConvolution, type TargetModule } from '../graph/target-module.js'
import { elementCount, formatShape, isFileTensor, type Initializer, type Value } from '../graph/types.js'
import type { Files } from '../io/files.js'
import type { FileInspection, InspectedModule, InspectOptions } from './inspection.js'
import { formatConstants } from '../adapter/model-constants.js'
import { findTask } from '../onnx-model/task.js'
import { prepareGraph, readConfigBeside, readOnnx } from '../onnx-model/read.js'

/** Operators whose second input is a weight that LoRA can stand beside. */
const weighted = new Set(['MatMul', 'Gemm', 'Conv'])

/** Every constant of the file, by its name there. */
function constantsOf(graph: Graph): Map<string, Initializer> {
  const constants = new Map<string, Initializer>(graph.initializers)
  for (const { op, outputs, attributes } of graph.nodes) {
    const value = attributes['value']
    if (op === 'Constant' && value?.type === 'tensor') constants.set(outputs[0]!, value.value)
  }
  return constants
}

/** Shape of a layer's weight as the layer means it, however it is packed. */
function shapeOf({ kind, inFeatures, outFeatures, convolution }: TargetModule): number[] {
  if (isConvolution(kind)) return [outFeatures, inFeatures / convolution!.groups, ...convolution!.kernel]
  return kind === 'Linear' ? [outFeatures, inFeatures] : [inFeatures, outFeatures]
}

const described = (module: TargetModule, { initializers }: Graph): InspectedModule => {
  const shape = shapeOf(module)
  const notes = [
    ...((module.convolution?.groups ?? 1) > 1 ? [`${module.convolution!.groups} groups`] : []),
    ...(module.foldedNorm === true ? ['a BatchNorm is folded into the weight: adapters of the layer without it do not fit'] : []),
    ...(module.unnamed === true ? ['its name is that of a value: the file does not tell its own'] : []),
    ...(module.moreUses === undefined ? [] : [`applied ${module.moreUses.length + 1} times`]),
    ...quantisation(initializers.get(module.weight)),
  ]
  return { name: module.name, kind: module.kind, shape, parameters: elementCount(shape), ...(notes.length > 0 && { notes }) }
}

const quantisation = (tensor: Initializer | undefined): string[] =>
  tensor === undefined || tensor.dtype.includes('float') ? [] : [`quantised (${tensor.dtype}): frozen, not to be merged`]

/** The layers that the nodes themselves show, where the graph cannot be prepared. */
function plainModules(graph: Graph, constants: ReadonlyMap<string, Initializer>): InspectedModule[] {
  const modules = new Map<string, InspectedModule>()
  for (const { op, inputs } of graph.nodes) {
    const weight = inputs[1] === undefined ? undefined : constants.get(inputs[1])
    if (!weighted.has(op) || weight === undefined || weight.shape.length < 2) continue
    modules.set(inputs[1]!, { name: inputs[1]!, kind: op, shape: weight.shape, parameters: elementCount(weight.shape) })
  }
  return [...modules.values()]
}

const shown = (values: readonly Value[]): string =>
  values.map(({ name, dtype, shape }) => `${name} ${dtype} ${formatShape(shape)}`).join('; ')

const counted = (modules: readonly InspectedModule[]): string => {
  const counts = new Map<string, number>()
  for (const { kind } of modules) counts.set(kind, (counts.get(kind) ?? 0) + 1)
  return [...counts].map(([kind, count]) => `${count} ${kind}`).join(', ')
}

/**
 * Describes a file: what can be adapted under PEFT's names, or, where nodes stand in the way, what they are.
 * @throws InvalidModelError if it is damaged
 */
export async function inspectOnnx(path: string, files: Files, options: InspectOptions = {}): Promise<FileInspection> {
  const { constants: fixed = {} } = options
  const graph = await readOnnx(files, path)
  const constants = constantsOf(graph)
  const inside = await files.size(path)
  const external = [...constants.values()].reduce((sum, t) => sum + (isFileTensor(t) ? t.file.length : 0), 0)
  const opsets = [...graph.opsets].map(([domain, version]) => [domain === '' ? 'ai.onnx' : domain, String(version)] as const)
  const common = {
    kind: 'onnx' as const,
    path,
    parameters: [...constants.values()].reduce((sum, { shape }) => sum + elementCount(shape), 0),
    bytes: inside + external,
    tensors: constants.size,
  }
  try {
    const config = (await readConfigBeside(files, path))?.config
    const { graph: prepared } = prepareGraph(graph, options, config)
    const { task, output } = findTask(prepared, {}, config, path)
    const modules = [...prepared.modules.values()].map((module) => described(module, prepared))
    const told = task.name === 'custom' ? 'not told: give --task or --loss' : `${task.name}, on ${output.name}`
    const metadata = {
      ...Object.fromEntries(opsets),
      inputs: shown(prepared.inputs),
      outputs: shown(prepared.outputs),
      ...(Object.keys(fixed).length > 0 && { constants: formatConstants(fixed) }),
      task: told,
      layers: counted(modules),
    }
    return { ...common, metadata, modules }
  } catch (error) {
    if (!(error instanceof UnsupportedOpError)) throw error
    const unsupported = error.message.split('\n').flatMap((line) => (line.startsWith('  ') ? [line.trim()] : []))
    const metadata = { ...Object.fromEntries(opsets), inputs: shown(graph.inputs), outputs: shown(graph.outputs) }
    return {
      ...common,
      metadata,
      modules: plainModules(graph, constants),
      unsupported: unsupported.length > 0 ? unsupported : [error.message],
    }
  }
}
