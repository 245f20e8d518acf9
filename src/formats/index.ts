/** @file Public surface of `lowrank/formats`: safetensors, model folders, PEFT adapter folders. */
export {
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
