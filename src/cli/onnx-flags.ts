/** @file Flags of every command that opens an .onnx file: what the file leaves open. */
import type { Flags } from './flags.js'

export const onnxFlags = {
  constants: {
    type: 'constants',
    value: 'NAME=VALUE,…',
    help: 'Inputs of an .onnx file that are constants, such as sr=16000; lists in brackets. They decide its branches.',
  },
} as const satisfies Flags
