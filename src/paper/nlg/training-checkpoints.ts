/**
 * @file The files that gpt2_ft.py saves: `{'model_state_dict': …}` with the names that its model has within
 * DistributedDataParallel, of LoRA alone on the way and of the whole model at the end of an epoch. gpt2_beam.py reads them.
 */
import { loadTensor, toFloat32 } from '../../formats/safetensors.js'
import { encodeTorch, streamTorch } from '../../formats/torch/index.js'
import { float32 } from '../../graph/constants.js'
import type { HostTensor } from '../../graph/types.js'
import type { Files } from '../../io/files.js'
import type { FolderModel } from '../../model/folder-model.js'
import { TOKENS } from './gpt2-checkpoint.js'

/** What DistributedDataParallel puts in front of every name. */
const PARALLEL = 'module.'
const WRAPPER = 'model_state_dict'

/** Name of the file of a step. */
export const checkpointName = (step: number): string => `model.${step}.pt`

/** Whether a file's name is that of a checkpoint. */
export const isCheckpointName = (name: string): boolean => /^model\.\d+\.pt$/.test(name)

/** Writes what `lora.lora_state_dict(model)` has. @param lora by names in the model, `transformer.h.0.attn.c_attn.lora_A` */
export async function writeLora(files: Files, path: string, lora: ReadonlyMap<string, HostTensor>): Promise<void> {
  const named = [...lora].map(([name, tensor]) => [PARALLEL + name, tensor] as const)
  await files.write(path, encodeTorch(named, 'archive', WRAPPER))
}

/** A tensor that is read, or made, when it is written. */
interface Later {
  readonly dtype: 'float32'
  readonly shape: readonly number[]
  readonly load: () => Promise<HostTensor>
}

/** Writes what `model.state_dict()` has, one tensor in memory at a time. @param trained tensors that go before the model's own, by their names in it */
export async function writeWhole(model: FolderModel, path: string, trained: ReadonlyMap<string, HostTensor>): Promise<void> {
  const { files } = model.environment
  const weight = (name: string): Later | undefined => {
    const tensor = trained.get(name) ?? model.weights.get(name)
    return tensor && later(tensor.shape, async () => toFloat32(await loadTensor(files, tensor)))
  }
  const found = stateDictNames(model).flatMap((name): (readonly [string, Later])[] => {
    const tensor = weight(name)
    return tensor === undefined ? [] : [[name, tensor]]
  })
  const positions = model.maxPositions
  const mask = later([1, 1, positions, positions], () => Promise.resolve(lowerTriangle(positions)))
  const tokens = found.find(([name]) => name === TOKENS)![1]
  const all = found.flatMap(([name, tensor]) => (name.endsWith('.ln_1.bias') ? [[name, tensor] as const, [name.replace('ln_1.bias', 'attn.bias'), mask] as const] : [[name, tensor] as const])) // prettier-ignore
  // The head is the embedding of tokens once more.
  const named = [...all, ['lm_head.decoder.weight', tokens] as const].map(([name, tensor]) => [PARALLEL + name, tensor] as const)
  await files.write(
    path,
    streamTorch(named, ({ load }) => load(), { wrapper: WRAPPER }),
  )
}

const later = (shape: readonly number[], values: () => Promise<Float32Array>): Later => ({
  ...{ dtype: 'float32', shape },
  load: async () => float32(shape, await values()),
})

/** Causal masks, which the script's model holds as buffers: [1, 1, positions, positions]. */
function lowerTriangle(positions: number): Float32Array {
  const mask = new Float32Array(positions * positions)
  for (let row = 0; row < positions; row++) mask.fill(1, row * positions, row * positions + row + 1)
  return mask
}

/** Names of the weights that a model may have, in the order in which the script's model does. */
function stateDictNames(model: FolderModel): string[] {
  const layers = [...model.modules.keys()].filter((name) => name.endsWith('.attn.c_attn')).length
  const both = (name: string): string[] => [`${name}.weight`, `${name}.bias`]
  const block = (h: string): string[] => [
    ...both(`${h}.ln_1`),
    ...both(`${h}.attn.c_attn`),
    ...[`${h}.attn.c_attn.lora_A`, `${h}.attn.c_attn.lora_B`],
    ...both(`${h}.attn.c_proj`),
    ...both(`${h}.ln_2`),
    ...both(`${h}.mlp.c_fc`),
    ...both(`${h}.mlp.c_proj`),
  ]
  return [
    TOKENS,
    'transformer.wpe.weight',
    ...Array.from({ length: layers }, (_, i) => block(`transformer.h.${i}`)).flat(),
    ...both('transformer.ln_f'),
  ]
}
