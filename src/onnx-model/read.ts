/** @file An .onnx file read, and prepared for adapters. */
import { InvalidModelError, InvalidOptionError } from '../errors.js'
import type { Graph } from '../graph/graph.js'
import { formatShape, isFloat, type Value } from '../graph/types.js'
import type { Files } from '../io/files.js'
import type { BranchPlace } from '../lower/inline-if.js'
import { withFileDims, type DimOverrides } from '../lower/file-dims.js'
import { fixInputs, type InputConstants } from '../lower/input-constants.js'
import { lower } from '../lower/lower.js'
import { ConfigReader, type Json } from '../models/config-reader.js'
import { architectures } from '../models/registry.js'
import { decodeModel } from '../onnx/decode.js'
import { isPresent, switchesOf, textInputs, withRowInputs } from './inputs.js'
import { checkPlaces } from './places.js'
import { namedAsInPeft, type NamedGraph } from './names.js'
import { widen } from './widen.js'
import { readJsonObject } from '../util/json.js'
import { folderOf } from '../io/places.js'
import { describingFolders, isOnnxFolder } from '../model/onnx-folders.js'

/** The graph of a file. External data stays where it is. @throws InvalidModelError if it is damaged, or its data lies elsewhere */
export async function readOnnx(files: Files, path: string): Promise<Graph> {
  if (!(await files.exists(path))) throw new InvalidModelError(`model file "${path}" does not exist`)
  const graph = decodeModel(await files.read(path), { folder: folderOf(path), source: path })
  await checkPlaces(files, graph, path, folderOf(path))
  return graph
}

/** The config.json that describes the model, and its folder. */
export async function readConfigBeside(
  files: Files,
  path: string,
): Promise<{ readonly config: ConfigReader; readonly folder: string } | undefined> {
  const [own, above] = describingFolders(path)
  for (const folder of [own, ...(isOnnxFolder(own) ? [above] : [])]) {
    const file = `${folder}/config.json`
    if (!(await files.exists(file))) continue
    const json = await readJsonObject(files, file, InvalidModelError)
    return { config: new ConfigReader(json as Record<string, Json>, file), folder }
  }
  return undefined
}

/** A graph for adapters, and where in the file its weights are. */
export interface PreparedGraph extends NamedGraph {
  /** Places of constants in branches, by their names in the lowered graph. */
  readonly branches: ReadonlyMap<string, BranchPlace>
}

/**
 * A decoded graph lowered, in float32, with named layers, fed by rows, its inputs those that it reads.
 * @throws UnsupportedOpError naming every node that cannot be trained through
 */
export function prepareGraph(
  decoded: Graph,
  { constants = {}, dims = {} }: { readonly constants?: InputConstants; readonly dims?: DimOverrides },
  config?: ConfigReader,
): PreparedGraph {
  refuseRowDims(decoded, dims)
  const fed = withRowInputs(fixInputs(withFileDims(decoded, dims), { ...switchesOf(decoded), ...constants }))
  fed.outputs = fed.outputs.filter((output) => !isPresent(output))
  const { graph: lowered, report } = lower(fed)
  lowered.prune()
  const named = namedAsInPeft(widen(lowered), bodyPrefix(config), report.branches.left)
  const { graph } = named
  const read = new Set(graph.nodes.flatMap(({ inputs }) => inputs))
  graph.inputs = graph.inputs.filter(({ name }) => read.has(name) || graph.outputs.some((output) => output.name === name))
  graph.origin = undefined
  return { ...named, branches: report.branches.constants }
}

/** Rows come in any number, and texts in any length: these lengths stay free. */
function refuseRowDims({ inputs }: Graph, dims: DimOverrides): void {
  for (const { name, shape } of inputs)
    shape?.forEach((dim, axis) => {
      if (!Object.hasOwn(dims, dim) || (axis > 0 && !textInputs.has(name))) return
      throw new InvalidOptionError(
        `"dims" fixes "${dim}", which is ${axis === 0 ? 'the number of rows' : 'the length of the texts'} in input "${name}" ${formatShape(shape)}; it stays free, give only lengths such as height and width`,
      )
    })
}

/** What PEFT's names of a model with a head begin with; nothing for the bare body. */
function bodyPrefix(config: ConfigReader | undefined): string | undefined {
  const known = architectures.find(({ modelTypes }) => modelTypes.some((type) => type === config?.json['model_type']))
  const [className] = (config?.json['architectures'] ?? []) as readonly unknown[]
  return known === undefined || /(?<!LMHead)Model$/.test(String(className)) ? undefined : known.baseModelPrefix
}

/** The scores that a final Softmax over classes turns into probabilities, or the value itself. */
export function beforeSoftmax(graph: Graph, output: Value): Value {
  const producers = graph.producers()
  let node = producers.get(output.name)
  while (node?.op === 'Identity') node = producers.get(node.inputs[0]!)
  if (node?.op !== 'Softmax' || node.domain !== '') return output
  const axis = node.attributes['axis']?.value ?? -1
  const last = (output.shape?.length ?? 0) - 1
  const scores = graph.value(node.inputs[0]!)
  return (axis === -1 || axis === last) && isFloat(scores.dtype) ? scores : output
}
