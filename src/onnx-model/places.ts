/** @file Where the weights of an .onnx file lie: in its folder, symbolic links followed. */
import { InvalidModelError } from '../errors.js'
import { fileTensors } from '../graph/file-tensors.js'
import type { Graph } from '../graph/graph.js'
import type { FileTensor } from '../graph/types.js'
import type { Files } from '../io/files.js'
import { homesOf, placeOutside } from '../io/places.js'
import { branchFiles } from './branch-weights.js'

/** Every constant of a file that lies in another one: those in branches of its `If`s too. */
export const externalTensors = (graph: Graph): FileTensor[] => [...fileTensors(graph), ...branchFiles(graph)]

/**
 * Checks that no external data leads out of the model's folder by a symbolic link; names that do are refused on decoding.
 * @param path of the model file
 * @throws InvalidModelError naming the file and where it leads
 */
export async function checkPlaces(files: Files, graph: Graph, path: string, folder: string): Promise<void> {
  const paths = new Set(externalTensors(graph).map(({ file }) => file.path))
  if (paths.size === 0) return
  const homes = await homesOf(files, folder, path)
  for (const place of paths) {
    const real = await placeOutside(files, homes, place)
    if (real !== undefined)
      throw new InvalidModelError(
        `${path}: its external data "${place}" is a link to "${real}", outside the model's folder; put the data itself beside the model`,
      )
  }
}
