/** @file GGUF: the file format, and adapters of llama.cpp in it. */
export { ggufFormat } from './adapter-format.js'
export { loadGgufTensor, readGgufHeader, type GgufHeader } from './read.js'
export type { GgufItem, GgufTensor, GgufValue, GgufValueType } from './types.js'
export { encodeGguf } from './write.js'
