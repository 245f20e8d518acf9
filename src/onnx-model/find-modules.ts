/** @file The layers of an imported graph, under the names their authors gave them. */
import { lastPart } from '../adapters/targets.js'
import { numberAttribute } from '../graph/attributes.js'
import type { Graph } from '../graph/graph.js'
import { LOWERED, type TargetModule, type ModuleUse } from '../graph/target-module.js'
import { isFloat, type Initializer, type Node } from '../graph/types.js'

/** A node that applies a weight, before it has a name. */
interface Found extends Omit<TargetModule, 'name' | 'isOutputHead' | 'moreUses'> {
  readonly node: Node
}

/** Names that PEFT's `all-linear` leaves out: heads over the vocabulary or over classes. */
const heads: ReadonlySet<string> = new Set(['lm_head', 'embed_out', 'output_projection', 'score', 'classifier'])

/** Operators behind which a constant weight may hide; each is one input to one output. */
const wrappers: ReadonlySet<string> = new Set(['Transpose', 'Cast', 'Identity', 'DequantizeLinear'])

class Finder {
  private readonly producers: ReadonlyMap<string, Node>
  private readonly readers = new Map<string, Node[]>()

  constructor(private readonly graph: Graph) {
    this.producers = graph.producers()
    for (const node of graph.nodes)
      for (const input of node.inputs) {
        const readers = this.readers.get(input)
        if (readers === undefined) this.readers.set(input, [node])
        else readers.push(node)
      }
  }

  /** The initializer behind a value, and whether it is read transposed. */
  private constant(name: string | undefined): { name: string; tensor: Initializer; transposed: boolean } | undefined {
    let at = name
    let transposed = false
    while (at !== undefined) {
      const tensor = this.graph.initializers.get(at)
      if (tensor !== undefined) return at.startsWith(LOWERED) ? undefined : { name: at, tensor, transposed }
      const producer = this.producers.get(at)
      if (producer === undefined || producer.domain !== '' || !wrappers.has(producer.op)) return undefined
      if (producer.op === 'Transpose') transposed = !transposed
      at = producer.inputs[0]
    }
    return undefined
  }

  find(): Found[] {
    return this.graph.nodes.flatMap((node) => this.product(node) ?? this.convolution(node) ?? this.embedding(node) ?? [])
  }

  /** Bias of a MatMul: a vector that the only reader of the product adds. */
  private addedBias(output: string, features: number): string | undefined {
    const readers = this.readers.get(output) ?? []
    const [add] = readers
    if (readers.length !== 1 || add?.op !== 'Add') return undefined
    const other = add.inputs[0] === output ? add.inputs[1] : add.inputs[0]
    const shape = this.graph.initializers.get(other!)?.shape
    return shape?.length === 1 && shape[0] === features ? other : undefined
  }

  private product(node: Node): Found | undefined {
    const gemm = node.op === 'Gemm'
    const quantised = node.op === 'MatMulNBits'
    if (!gemm && !quantised && !(node.op === 'MatMul' && node.domain === '')) return undefined
    const weight = this.constant(node.inputs[1])
    const output = node.outputs[0]!
    if (weight === undefined) return undefined
    const common = { node, weight: weight.name, input: node.inputs[0]!, output, ...(foldedNorm(node) && { foldedNorm: true }) }
    if (quantised) {
      const [inFeatures, outFeatures] = [numberAttribute(node, 'K', 0), numberAttribute(node, 'N', 0)]
      return { ...common, kind: 'Linear', bias: node.inputs[5] || this.addedBias(output, outFeatures), inFeatures, outFeatures }
    }
    if (weight.tensor.shape.length !== 2) return undefined
    const flipped = weight.transposed !== (gemm && numberAttribute(node, 'transB', 0) === 1)
    const [rows, columns] = weight.tensor.shape as [number, number]
    const [inFeatures, outFeatures] = flipped ? [columns, rows] : [rows, columns]
    const kind = flipped ? 'Linear' : gemm ? 'Conv1D' : 'MatMul'
    if (!gemm) return { ...common, kind, bias: this.addedBias(output, outFeatures), inFeatures, outFeatures }
    const factor = numberAttribute(node, 'alpha', 1)
    return {
      ...common,
      kind,
      bias: this.constant(node.inputs[2])?.name,
      inFeatures,
      outFeatures,
      ...(numberAttribute(node, 'transA', 0) === 1 && { transposedInput: true }),
      ...(factor !== 1 && { factor }),
    }
  }

  private convolution(node: Node): Found | undefined {
    const weight = node.op === 'Conv' && node.domain === '' ? this.constant(node.inputs[1]) : undefined
    if (weight === undefined || weight.transposed) return undefined
    const [outFeatures, perGroup, ...kernel] = weight.tensor.shape as [number, number, ...number[]]
    const kind = ([undefined, 'Conv1d', 'Conv2d', 'Conv3d'] as const)[kernel.length]
    if (kind === undefined) return undefined
    const groups = numberAttribute(node, 'group', 1)
    const { group: _, kernel_shape: __, ...attributes } = node.attributes
    const bias = this.constant(node.inputs[2])?.name
    const [input, output] = [node.inputs[0]!, node.outputs[0]!]
    return {
      node,
      kind,
      weight: weight.name,
      bias,
      input,
      output,
      inFeatures: perGroup * groups,
      outFeatures,
      convolution: { kernel, groups, attributes },
      ...(foldedNorm(node) && { foldedNorm: true }),
    }
  }

  /** A table in 4 or 8 bits, one scale for each block of a row. */
  private quantizedEmbedding(node: Node): Found | undefined {
    if (node.op !== 'GatherBlockQuantized' || numberAttribute(node, 'gather_axis', 0) !== 0) return undefined
    const weight = this.constant(node.inputs[0])
    if (weight?.tensor.shape.length !== 2 || this.graph.initializers.has(node.inputs[1]!)) return undefined
    const [inFeatures, packed] = weight.tensor.shape as [number, number]
    const perByte = weight.tensor.dtype === 'uint8' ? 8 / numberAttribute(node, 'bits', 4) : 1
    const [input, output] = [node.inputs[1]!, node.outputs[0]!]
    return {
      node,
      kind: 'Embedding',
      weight: weight.name,
      bias: undefined,
      input,
      output,
      inFeatures,
      outFeatures: packed * perByte,
    }
  }

  /** What rows read from a table are as floats: themselves, or, of an 8-bit table, what the only reader makes of them. */
  private rows(output: string): string | undefined {
    if (isFloat(this.graph.value(output).dtype)) return output
    const [reader, ...others] = this.readers.get(output) ?? []
    return reader?.op === 'DequantizeLinear' && others.length === 0 ? reader.outputs[0] : undefined
  }

  private embedding(node: Node): Found | undefined {
    if (node.op === 'GatherBlockQuantized') return this.quantizedEmbedding(node)
    if (node.op !== 'Gather' || node.domain !== '' || numberAttribute(node, 'axis', 0) !== 0) return undefined
    const weight = this.constant(node.inputs[0])
    // A table read at constant places is a slice, not an embedding.
    if (
      weight === undefined ||
      weight.transposed ||
      weight.tensor.shape.length !== 2 ||
      this.graph.initializers.has(node.inputs[1]!)
    )
      return undefined
    const [inFeatures, outFeatures] = weight.tensor.shape as [number, number]
    const output = this.rows(node.outputs[0]!)
    if (output === undefined) return undefined
    return {
      node,
      kind: 'Embedding',
      weight: weight.name,
      bias: undefined,
      input: node.inputs[1]!,
      output,
      inFeatures,
      outFeatures,
    }
  }
}

/** What ONNX Runtime's optimiser puts before the name of a weight that it multiplied by a norm or by a constant. */
const FUSED = /^Conv(Bn|Mul)Fusion_W_/

/**
 * Whether a BatchNorm was taken into the weight: dynamo's and ONNX Runtime's optimisers note it, and of TorchScript's
 * exporter nothing else gives a convolution both a weight and a bias without the names of their layer.
 */
const foldedNorm = ({ metadata, op, inputs: [, weight, bias] }: Node): boolean =>
  (metadata?.['pkg.onnxscript.rewriter.rule_name'] ?? '').split(/[\s,]+/).some((rule) => /^FuseBatchNormInto/.test(rule)) ||
  FUSED.test(weight ?? '') ||
  (op === 'Conv' && [weight, bias].every((name) => /^onnx::Conv_\d+(_quantized)?$/.test(name ?? '')))

/** Classes of PyTorch and transformers that are layers, by the operator they become. */
const layerClasses: Readonly<Record<string, RegExp>> = {
  Gather: /Embedding$/,
  Conv: /Conv[123]d$/,
  MatMul: /(Linear|Conv1D)$/,
  Gemm: /(Linear|Conv1D)$/,
  LSTM: /LSTM$/,
  GRU: /GRU$/,
  RNN: /RNN$/,
}

/** A list as the dynamo exporter writes it: `['', 'model', 'model.layers.0']`. */
const pythonList = (text: string | undefined): string[] =>
  [...(text ?? '').matchAll(/'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"/g)].map((m) => m[1] ?? m[2]!)

/** The module that dynamo's metadata says a node is the work of, if it is a layer of the right kind. Branches have a root of dynamo's own. */
function dynamoName({ node }: Pick<Found, 'node'>): string | undefined {
  const names = pythonList(node.metadata?.['pkg.torch.onnx.name_scopes'])
  const classes = pythonList(node.metadata?.['pkg.torch.onnx.class_hierarchy'])
  // The last entry of both is the operator itself.
  const at = names.length - 2
  return at > 0 && layerClasses[node.op]?.test(classes[at] ?? '') === true ? names[at]?.replace(/^_export_root\./, '') : undefined
}

/** Operators that a node may have been before a quantiser or an optimiser changed it, and kept its name. */
const before: Readonly<Record<string, RegExp>> = {
  MatMul: /^(MatMul|Gemm)/,
  Gemm: /^(Gemm|MatMul)/,
  MatMulNBits: /^(MatMul|Gemm)/,
  GatherBlockQuantized: /^Gather/,
}

/** A node's name as its author gave it: that of the node which a lowering replaced stands inside of its own. */
const givenName = ({ name }: Node): string =>
  name.startsWith(LOWERED) ? name.slice(LOWERED.length, name.lastIndexOf('/')) : name

/** `/model/layers.0/self_attn/q_proj/MatMul_Q4` without its operator, in dots. */
function pathName({ node }: Pick<Found, 'node'>): string | undefined {
  const parts = givenName(node).split('/')
  const last = parts.pop()
  if (parts.length < 2 || parts[0] !== '' || last === undefined) return undefined
  if (before[node.op]?.test(last) !== true && !last.startsWith(node.op)) return undefined
  const path: string[] = []
  // A list of layers comes twice: /features/features.0/Conv is features.0.
  for (const part of parts.slice(1)) {
    const above = path[path.length - 1]
    if (above !== undefined && part.startsWith(`${above}.`)) path[path.length - 1] = part
    else path.push(part)
  }
  return path.join('.')
}

/** The module that a node says it is, by dynamo's notes or by its own name; whatever stands before all names stays. */
export const layerName = (node: Node): string | undefined => dynamoName({ node }) ?? (pathName({ node }) || undefined)

/** What quantisers add to a weight's name, and the operator that a model builder puts into it. */
const ADDED = /(_(quantized|quant|transposed|[qQ]\d+(G\d+)?|bnb4|DQ_[qQ]\d+))+$/
const parameterName = (value: string, kind: 'weight' | 'bias'): string | undefined => {
  const name = value
    .replace(FUSED, '')
    .replace(ADDED, '')
    .replace(/\.qweight$/, '.weight')
    .replace(/\.(MatMul|Gemm|Add)(?=\.(weight|bias)$)/, '')
  return name.endsWith(`.${kind}`) && !name.startsWith('onnx::') ? name.slice(0, -kind.length - 1) : undefined
}

const weightName = ({ weight }: Found): string | undefined => parameterName(weight, 'weight')
const biasName = ({ bias }: Found): string | undefined => (bias === undefined ? undefined : parameterName(bias, 'bias'))

/** Whether all of `few` come in `many` in this order. */
function comesWithin(few: readonly string[], many: readonly string[]): boolean {
  let at = 0
  for (const part of many) if (part === few[at]) at++
  return at === few.length
}

/**
 * The path with the modules that were passed over: OPT calls `model.decoder` without calling `model`, so that
 * `/decoder/layers.0/fc1/Gemm` has the bias `model.decoder.layers.0.fc1.bias`.
 */
function fullPath(f: Found, passedOver: ReadonlyMap<string, string>): string | undefined {
  const path = pathName(f)
  if (path === undefined) return undefined
  const bias = biasName(f)
  const parts = path.split('.')
  const all = bias?.split('.') ?? []
  if (all.length > parts.length && all.at(-1) === parts.at(-1) && comesWithin(parts, all)) return bias
  return `${passedOver.get(parts[0]!) ?? ''}${path}`
}

/** What stands before paths in the real names of their weights, by the first part of the path, where all agree: `model.` */
function prefixesPassedOver(found: readonly Found[]): Map<string, string> {
  const prefixes = new Map<string, Set<string>>()
  for (const f of found) {
    const [path, real] = [pathName(f), weightName(f) ?? biasName(f)]
    if (path === undefined || real === undefined || !`.${real}`.endsWith(`.${path}`)) continue
    const first = firstPart(path)
    prefixes.set(first, (prefixes.get(first) ?? new Set()).add(real.slice(0, -path.length)))
  }
  return new Map([...prefixes].flatMap(([first, seen]) => (seen.size === 1 ? [[first, [...seen][0]!] as const] : [])))
}

/** Whether a weight goes by the name of another module than the one that reads it, which the path tells: a head by the table's. */
function isTied(path: string | undefined, weight: string | undefined): boolean {
  if (path === undefined || weight === undefined || weight.startsWith(`${path}.`)) return false
  // The second call of a module of that name: query_1.
  return lastPart(path).replace(/_\d+$/, '') !== lastPart(weight).replace(/_\d+$/, '')
}

/** The blocks that a name lies in: `model.layers` and `model` of `model.layers.0`. */
function containersOf(name: string): string[] {
  const parts = name.split('.')
  return parts.slice(1).map((_, i) => parts.slice(0, i + 1).join('.'))
}

interface Named {
  readonly name: string
  /** Whether its author named it; else it is called after the value that holds its weight. */
  readonly isGiven: boolean
}

/**
 * Names for all layers: the best candidate that no other weight claims with the same right. The name of a weight is its
 * module's, unless it is shared.
 */
function nameAll(found: readonly Found[]): Map<Found, Named> {
  const passedOver = prefixesPassedOver(found)
  const all = found.flatMap((f) => [dynamoName(f), weightName(f), fullPath(f, passedOver)].filter((name) => name !== undefined))
  const containers = new Set(all.flatMap(containersOf))
  const candidatesOf = (f: Found): string[] => {
    const [called, weight] = [fullPath(f, passedOver), weightName(f)]
    // A product right inside of a block has no layer of its own.
    const path = called !== undefined && containers.has(called) ? undefined : called
    return [dynamoName(f), ...(isTied(path, weight) ? [path, weight] : [weight, path, biasName(f)])].filter(
      (name) => name !== undefined && name !== '',
    ) as string[]
  }
  const candidates = new Map(found.map((f) => [f, candidatesOf(f)]))
  // A table that is also the head has both names; where it is looked up it is the table.
  const key = (f: Found): string => `${f.kind === 'Embedding'}:${f.weight}`
  const claims = new Map<string, Set<string>>()
  for (const [f, [best]] of candidates) if (best !== undefined) claims.set(best, (claims.get(best) ?? new Set()).add(key(f)))
  const byWeight = new Map<string, Named>()
  const taken = new Set<string>()
  const names = new Map<Found, Named>()
  for (const f of found) {
    const known = byWeight.get(key(f))
    const free = candidates
      .get(f)!
      .find((name, i) => !taken.has(name) && (i === 0 ? claims.get(name)!.size === 1 : !claims.has(name)))
    const wanted = free ?? f.weight.replace(ADDED, '').replace(/\.(weight|w_\d+)$/, '')
    let name = wanted
    for (let i = 1; known === undefined && taken.has(name); i++) name = `${wanted}.${i}`
    const named = known ?? { name, isGiven: free !== undefined }
    taken.add(named.name)
    byWeight.set(key(f), named)
    names.set(f, named)
  }
  return names
}

const firstPart = (name: string): string => name.split('.', 1)[0]!

/** Parts of models that transformers runs alone, under this name. */
const partsOfModels: ReadonlySet<string> = new Set(['text_model', 'vision_model'])

/** Whether dynamo says that what was exported is a model of transformers itself. */
const isExportedItself = ({ nodes }: Graph): boolean =>
  nodes.some(({ metadata }) => pythonList(metadata?.['pkg.torch.onnx.class_hierarchy'])[0]?.startsWith('transformers.') === true)

/**
 * The one name above everything, if what lies below it is not just a list of layers, and the file has no parameter that
 * lies elsewhere.
 */
function wrapperOf(graph: Graph, named: ReadonlyMap<Found, Named>): string {
  const names = [...named.values()].flatMap(({ name, isGiven }) => (isGiven ? [name] : []))
  const root = names[0] === undefined ? '' : firstPart(names[0])
  const below = names.map((name) => name.slice(root.length + 1))
  const isInside = (name: string): boolean => name.startsWith(`${root}.`)
  const isWrapper = names.length > 1 && names.every(isInside) && !below.some((name) => /^\d/.test(name))
  if (!isWrapper || partsOfModels.has(root) || isExportedItself(graph)) return ''
  // A head without a name that reads the table lies outside of the body that all others are in.
  const tables = new Set([...named.keys()].filter(({ kind }) => kind === 'Embedding').map(({ weight }) => weight))
  const isHeadOutside = [...named].some(
    ([{ kind, weight }, { isGiven }]) => !isGiven && kind !== 'Embedding' && tables.has(weight),
  )
  const blocks = [...named.values()].flatMap(({ name }) => (isInside(name) ? [firstPart(name.slice(root.length + 1))] : []))
  if (isHeadOutside && new Set(blocks).size > 1) return ''
  const parameters = [...graph.initializers.keys()].filter((name) => /^[A-Za-z_]\w*(\.\w+)*\.(weight|bias)$/.test(name))
  return parameters.every(isInside) ? root : ''
}

/** The layers of a graph. */
export interface Layers {
  /**
   * Name of a wrapper around the model, which PEFT's names do not have: `m` of `m.model.layers.0`. There is one where
   * everything lies below one name that is no list of layers; `''` is none.
   */
  readonly wrapper: string
  /** The layers by their names below a wrapper; with `''` by those that the file has. */
  below(wrapper: string): Map<string, TargetModule>
}

/**
 * Finds every layer of a lowered graph that an adapter can be put on: products with a constant matrix, convolutions, and
 * lookups in a table. A layer that is applied several times is one module with several uses.
 *
 * Names come from dynamo's metadata, from the weight's own name, or from node paths, so that they mean the same as in
 * PEFT.
 */
export function findLayers(graph: Graph): Layers {
  const names = nameAll(new Finder(graph).find())
  return { wrapper: wrapperOf(graph, names), below: (wrapper) => modulesBelow(names, wrapper) }
}

/** The layers of a graph by their names in PEFT, see {@link findLayers}. */
export function findModules(graph: Graph): Map<string, TargetModule> {
  const layers = findLayers(graph)
  return layers.below(layers.wrapper)
}

function modulesBelow(names: ReadonlyMap<Found, Named>, root: string): Map<string, TargetModule> {
  const modules = new Map<string, TargetModule>()
  for (const [f, { name: full, isGiven }] of names) {
    const name = root !== '' && full.startsWith(`${root}.`) ? full.slice(root.length + 1) : full
    const known = modules.get(name)
    if (known !== undefined) {
      const use: ModuleUse = { input: f.input, output: f.output }
      modules.set(name, { ...known, moreUses: [...(known.moreUses ?? []), use] })
      continue
    }
    const { node: _, ...rest } = f
    const isOutputHead = heads.has(lastPart(name))
    modules.set(name, { name, ...rest, isOutputHead, ...(!isGiven && { unnamed: true }) })
  }
  return modules
}
