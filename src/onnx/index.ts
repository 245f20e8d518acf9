/** @file Public surface of `lowrank/onnx`: the file format. */
export { decodeModel, type DecodeOptions } from './decode.js'
export { encodeModel, type EncodeOptions, type Locate } from './encode.js'
