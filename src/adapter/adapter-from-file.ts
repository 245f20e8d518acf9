/** @file An adapter that was read from a file of any format, on a model. */
import { adapterParts } from '../adapters/adapter-parts.js'
import { checkAdapterTensors } from '../adapters/strict.js'
import { matchTargets } from '../adapters/targets.js'
import type { AdapterFile } from '../formats/adapter-file.js'
import { toFloat32 } from '../formats/safetensors.js'
import type { Model } from '../model/model.js'
import { Adapter } from './adapter.js'

/**
 * The adapter on a model whose layers have the names that the file has them by.
 * @param source where it was read, for messages
 * @throws InvalidAdapterError naming every tensor that is missing, unexpected or of another shape
 */
export function adapterFromFile(model: Model, { config, tensors, unknownKeys }: AdapterFile, source: string): Adapter {
  const targets = matchTargets(model.modules, config)
  // Before memory is taken for them.
  checkAdapterTensors(adapterParts(model, config, targets), tensors, source)
  const adapter = Adapter.create(model, config, targets, unknownKeys)
  for (const [name, tensor] of tensors) adapter.parameters.view(name).set(toFloat32(tensor))
  return adapter
}
