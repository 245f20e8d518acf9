/** @file Flags of every command that opens an .onnx file: what the file leaves open. */
import type { Flags } from './flag.js'

export const onnxFlags = {
  constants: {
    group: 'source',
    type: 'constants',
    value: 'NAME=VALUE,…',
    help: 'Inputs of an .onnx file that are constants, such as sr=16000,offsets=[0,1], or the same as JSON: {"sr":16000,"offsets":[0,1]}. They decide its branches.',
  },
  dims: {
    group: 'source',
    type: 'mapping',
    value: 'NAME=LENGTH,…',
    help: 'Lengths of the inputs of an .onnx file by their names there, such as height=640,width=640; others stay free.',
  },
} as const satisfies Flags

/** Of the commands that have a loss. */
export const lossOutputFlag = {
  output: {
    group: 'source',
    type: 'text',
    value: 'NAME',
    help: 'Output of an .onnx file that the loss reads, where it has several.',
  },
} as const satisfies Flags
