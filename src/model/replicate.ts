/** @file The model that an adapter with `layer_replication` belongs to. */
import { InvalidOptionError } from '../errors.js'
import type { LayerRanges } from '../models/replicate-layers.js'
import { FolderModel } from './folder-model.js'
import type { Model } from './model.js'

/**
 * The model with its layers as the ranges say; the model itself where there are none. Weights stay where they lie: copies
 * of a layer read the same bytes.
 * @throws InvalidOptionError for an .onnx file, whose graph is fixed, and for ranges that the model does not have
 */
export function replicateLayers(model: Model, ranges: LayerRanges | null): Model {
  if (ranges === null) return model
  if (!(model instanceof FolderModel))
    throw new InvalidOptionError(`"layerReplication" needs a model folder; the graph of "${model.path}" is fixed`)
  if (model.layerReplication !== undefined) {
    if (JSON.stringify(model.layerReplication) === JSON.stringify(ranges)) return model
    throw new InvalidOptionError(`the layers of "${model.path}" are replicated already; begin with the model as it was loaded`)
  }
  return model.replicated(ranges)
}
