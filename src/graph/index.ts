/** @file Public surface of `lowrank/graph`: build and inspect ONNX graphs. */
export { Graph, DEFAULT_OPSET } from './graph.js'
export { GraphBuilder, type EmitOptions, type Operand } from './builder.js'
export type { Convolution, TargetModule, ModuleKind, ModuleUse } from './target-module.js'
export { float32, int64, tensor } from './constants.js'
export { float, int, ints, string } from './types.js'
export type {
  Attribute,
  AttributeOf,
  Attributes,
  Dim,
  DType,
  FileTensor,
  HostTensor,
  Initializer,
  Node,
  Shape,
  TypedArray,
  Value,
} from './types.js'
export { emittableOps, microsoftOperators, standardOperators, type EmittableName } from './allowed-ops.js'
export { NodeView, OperandView, type Operation } from './view.js'
