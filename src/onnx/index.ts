/** @file Public surface of `lowrank/onnx`: the file format. */
export { decodeModel } from './decode.js'
export { encodeModel, type Locate } from './encode.js'
