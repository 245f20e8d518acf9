/** @file Torch files: read without executing anything, written for `torch.load(weights_only=True)`. */
export { openTorch, type TorchFile } from './read.js'
export { inPlace, isContiguous, loadTorchTensor, namedTensors, readTorchTensors, type NamedTensors } from './tensors.js'
export { TorchTensor, type TorchStorage } from './values.js'
export { encodeTorch, streamTorch, type TensorHead, type TorchWriteOptions } from './write.js'
