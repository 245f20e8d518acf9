/** @file Where the weights of an .onnx file lie: in its folder, symbolic links followed. */
import { InvalidModelError } from '../errors.js'
import type { Graph } from '../graph/graph.js'
import { isFileTensor, type Initializer } from '../graph/types.js'
import type { Files } from '../io/files.js'
import { contains, homesOf } from '../io/places.js'
import { branchFiles } from './branch-weights.js'

/** Paths of external data, of initializers and of constants in nodes and their sub-graphs. */
function externalPaths(graph: Graph): Set<string> {
  const paths = new Set<string>()
  const note = (tensor: Initializer): void => {
    if (isFileTensor(tensor)) paths.add(tensor.file.path)
  }
  for (const tensor of [...graph.initializers.values(), ...branchFiles(graph)]) note(tensor)
  for (const { attributes } of graph.nodes)
    for (const attribute of Object.values(attributes)) if (attribute.type === 'tensor') note(attribute.value)
  return paths
}

/**
 * Checks that no external data leads out of the model's folder by a symbolic link; names that do are refused on decoding.
 * @param path of the model file
 * @throws InvalidModelError naming the file and where it leads
 */
export async function checkPlaces(files: Files, graph: Graph, path: string, folder: string): Promise<void> {
  const paths = externalPaths(graph)
  if (paths.size === 0) return
  const homes = await homesOf(files, folder, path)
  for (const place of paths) {
    const real = await files.realPath(place)
    const isInside = homes.some((home) => contains(home, real))
    if (!isInside)
      throw new InvalidModelError(
        `${path}: its external data "${place}" is a link to "${real}", outside the model's folder; put the data itself beside the model`,
      )
  }
}
