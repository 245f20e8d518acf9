/** @file The weights of an export: those of the model with what merging changes, in one element type. */
import { InvalidModelError } from '../errors.js'
import { fileChunks, type TensorSource } from '../export/onnx-file.js'
import type { ExportDType } from '../export/onnx-folder.js'
import { toFloat32 } from '../formats/safetensors.js'
import { bytesOf, fromBytes } from '../graph/constants.js'
import { bytesPerElement, isFileTensor, isFloat, type HostTensor, type Initializer } from '../graph/types.js'
import type { Files } from '../io/files.js'
import { mergeWeight } from './merged-weight.js'
import { planTensors, type PlannedTensor } from './named-tensors.js'
import type { Deltas } from './plan.js'
import { firstOverflow, inType, isStoredType } from './stored-type.js'

/** What an export needs to know of the model. */
export interface ExportedWeights {
  /** Path, for messages. */
  readonly path: string
  /** By their names in the model's graph. */
  readonly weights: ReadonlyMap<string, Initializer>
}

/** Vectors are few and some of them are added to large numbers: only matrices are stored in 16 bits. */
const storedAs = (base: Initializer, dtype: ExportDType): Initializer['dtype'] => {
  if (!isFloat(base.dtype)) return base.dtype
  return dtype === 'fp16' && base.shape.length > 1 ? 'float16' : 'float32'
}

/**
 * Sources of all weights of an export, by their names in the graph. Plain weights are read, converted and passed on in
 * pieces; of a merged one the whole tensor is in memory, one at a time.
 * @param onDelta told the largest absolute change of each merged weight
 * @throws InvalidAdapterError for changes that cannot be merged
 */
export function weightSources(
  files: Files,
  { path, weights }: ExportedWeights,
  deltas: Deltas,
  dtype: ExportDType,
  onDelta: (maxAbs: number) => void = () => undefined,
): Map<string, TensorSource> {
  const plans = planTensors(deltas, { source: path, tensors: weights, storedAs: (base) => storedAs(base, dtype) })
  return new Map([...plans].map(([name, tensor]) => [name, weightSource(files, tensor, onDelta)]))
}

function weightSource(files: Files, tensor: PlannedTensor, onDelta: (maxAbs: number) => void): TensorSource {
  const { name, base, deltas, dtype } = tensor
  return {
    dtype,
    shape: base.shape,
    async *chunks() {
      if (deltas.length > 0) {
        const merged = await mergeWeight(files, tensor)
        onDelta(merged.maxAbsDelta)
        yield bytesOf(merged.tensor)
      } else if (isFileTensor(base)) {
        const size = bytesPerElement[base.dtype as keyof typeof bytesPerElement]
        for await (const bytes of fileChunks(files, base.file))
          yield bytesOf(converted(name, fromBytes(base.dtype, [bytes.length / size], bytes), dtype))
      } else yield bytesOf(converted(name, base, dtype))
    },
  }
}

/** A part of a weight in the element type of the file. @throws InvalidModelError for a value that it cannot hold */
function converted(name: string, part: HostTensor, dtype: Initializer['dtype']): HostTensor {
  if (part.dtype === dtype || !isStoredType(dtype)) return part
  const values = toFloat32(part)
  const result = inType(dtype, part.shape, values)
  const bad = firstOverflow(values, result)
  if (bad >= 0)
    throw new InvalidModelError(`weight "${name}" holds ${values[bad]}, which ${dtype} cannot; export with dtype "fp32"`)
  return result
}

/** Stand-ins for weights that are computed when the file is written: their element type and shape. */
export const standIns = (sources: ReadonlyMap<string, TensorSource>): Map<string, Initializer> =>
  new Map([...sources].map(([name, { dtype, shape }]) => [name, { dtype, shape, file: { path: '', offset: 0, length: 0 } }]))
