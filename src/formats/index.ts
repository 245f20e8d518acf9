/** @file Public surface of `lowrank/formats`: safetensors, torch files, model folders, adapters in every format. */
export {
  castFloats,
  encodeSafetensors,
  loadTensor,
  readSafetensorsHeader,
  safetensorsChunks,
  toFloat32,
  type LazyTensor,
  type SafetensorsHeader,
} from './safetensors.js'
export { openCheckpoint, type Checkpoint, type Shard } from './checkpoint.js'
export { readAdapterFolder, writeAdapterFolder, type AdapterFolder, type AdapterToWrite } from './peft.js'
export { valueTypes as ggufValueTypes } from './gguf/types.js'
export type { GgufArray, GgufNumberType, GgufValueOf } from './gguf/types.js'
export type { TorchStorage, TorchTensor } from './torch/values.js'
export type { ParsedAdapterConfig } from './peft-config.js'
export {
  encodeTorch,
  streamTorch,
  loadTorchTensor,
  namedTensors,
  openTorch,
  readTorchTensors,
  type TensorHead,
} from './torch/index.js'
export type { NamedTensors, TorchFile, TorchWriteOptions } from './torch/index.js'
export { encodeGguf, loadGgufTensor, readGgufHeader } from './gguf/index.js'
export type { GgufHeader, GgufItem, GgufTensor, GgufValue, GgufValueType } from './gguf/index.js'
export { adapterFormats, detectAdapterFormat } from './adapter-formats.js'
export type { AdapterFile, AdapterFormat, AdapterReadOptions, AdapterWriteOptions, ConversionNote } from './adapter-file.js'
