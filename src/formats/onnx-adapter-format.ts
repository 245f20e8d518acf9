/** @file `.onnx_adapter` as an adapter format: the scale is part of B, names are those of graph inputs. */
import { transposeHost } from '../graph/transpose.js'
import { PREFIX } from '../adapters/lora.js'
import { InvalidAdapterError } from '../errors.js'
import type { HostTensor } from '../graph/types.js'
import {
  configFor,
  isPowerOfTwo,
  refuseVariants,
  scaled,
  splitAdapter,
  type AdapterFormat,
  type ConversionNote,
  type RankAndAlpha,
} from './adapter-file.js'
import { decodeOnnxAdapter, encodeOnnxAdapter } from './onnx-adapter.js'

const isMatrix = ({ shape }: HostTensor): boolean => shape.length === 2

export const onnxAdapterFormat: AdapterFormat = {
  name: 'onnx-adapter',
  description: 'an .onnx_adapter file of ONNX Runtime',
  holds: async (files, path) => path.endsWith('.onnx_adapter') && !(await files.isDirectory(path)),
  takes: (path) => path.endsWith('.onnx_adapter'),

  async read(files, path, options) {
    const { parameters } = decodeOnnxAdapter(await files.read(path), path)
    const tensors = new Map<string, HostTensor>()
    const layers: RankAndAlpha[] = []
    const olive = ![...parameters.keys()].some((name) => name.startsWith(PREFIX))
    for (const [name, stored] of parameters) {
      const match = /^(?:base_model\.model\.)?(.*)\.lora_A(?:\.MatMul)?\.weight$/.exec(name)
      if (match === null) {
        if (/\.lora_B(\.MatMul)?\.weight$/.test(name)) continue
        throw new InvalidAdapterError(
          `${path}: parameter "${name}" is neither a lora_A.weight nor a lora_B.weight; only LoRA matrices can be converted`,
        )
      }
      const other = parameters.get(name.replace('.lora_A', '.lora_B'))
      if (other === undefined || !isMatrix(stored) || !isMatrix(other))
        throw new InvalidAdapterError(`${path}: "${name}" needs a partner lora_B, and both must be matrices`)
      const [A, B] = olive ? [transposeHost(stored), transposeHost(other)] : [stored, other]
      const r = A.shape[0]!
      if (B.shape[1] !== r)
        throw new InvalidAdapterError(
          `${path}: "${name}" [${stored.shape.join(', ')}] and its lora_B [${other.shape.join(', ')}] have no common rank in ${olive ? "Olive's layout ([in, r], [r, out])" : "PEFT's layout ([r, in], [out, r])"}`,
        )
      const module = match[1]!
      tensors.set(`${PREFIX}${module}.lora_A.weight`, A)
      tensors.set(`${PREFIX}${module}.lora_B.weight`, B)
      layers.push({ module, r, alpha: r })
    }
    if (2 * layers.length !== parameters.size || layers.length === 0)
      throw new InvalidAdapterError(`${path}: ${parameters.size} parameters make ${layers.length} pairs of lora_A and lora_B`)
    const note: ConversionNote = {
      text: 'the file tells no alpha: its scale is part of B, so alpha is set to the rank',
      loss: false,
    }
    return {
      config: configFor(layers, { baseModelNameOrPath: options.baseModel ?? null, taskType: options.taskType ?? null }),
      tensors,
      notes: [note],
    }
  },

  async write(files, path, adapter, { layout = 'peft' }) {
    const { pairs, rest } = splitAdapter(adapter)
    refuseVariants(pairs, 'an .onnx_adapter')
    const embedding = pairs.find(({ isEmbedding }) => isEmbedding)
    if (embedding !== undefined)
      throw new InvalidAdapterError(
        `${embedding.module} is an embedding, which an .onnx_adapter has no names for; merge it into the model instead`,
      )
    const parameters = new Map<string, HostTensor>()
    for (const { module, A, B, scale } of pairs) {
      const b = scaled(B, scale)
      const [name, a2, b2] = layout === 'olive' ? [module, transposeHost(A), transposeHost(b)] : [`${PREFIX}${module}`, A, b]
      parameters.set(`${name}.lora_A.weight`, a2)
      parameters.set(`${name}.lora_B.weight`, b2)
    }
    await files.write(path, encodeOnnxAdapter({ adapterVersion: 1, modelVersion: 1, parameters }))
    const notes: ConversionNote[] = []
    if (pairs.some(({ scale }) => scale !== 1))
      notes.push({
        text: 'the scale is multiplied into B, for graphs that apply none themselves',
        loss: pairs.some(({ scale }) => !isPowerOfTwo(scale)),
      })
    if (rest.size > 0)
      notes.push({ text: `left out, as only LoRA matrices can be stored: ${[...rest.keys()].join(', ')}`, loss: true })
    return notes
  },
}
