/** @file The closed list of operators that lowrank emits; anything else is a bug of ours. */

/** Operators of ai.onnx that may be emitted. */
export const standardOperators = [
  // element-wise
  ...[
    'Add',
    'Sub',
    'Mul',
    'Div',
    'Neg',
    'Abs',
    'Sign',
    'Exp',
    'Log',
    'Sqrt',
    'Reciprocal',
    'Pow',
    'Sin',
    'Cos',
    'Erf',
    'Tanh',
    'Sigmoid',
    'Relu',
  ],
  ...['Min', 'Max', 'Where', 'Cast', 'Identity', 'Clip', 'Floor', 'Round', 'Mod', 'Softplus', 'Asin', 'Acos', 'Atan'],
  ...['Equal', 'Less', 'LessOrEqual', 'Greater', 'GreaterOrEqual', 'And', 'Or', 'Not', 'IsNaN', 'IsInf'],
  // integer arithmetic of the dropout masks
  ...['BitwiseXor', 'BitwiseAnd', 'BitShift'],
  // products and convolutions
  ...[
    'MatMul',
    'Gemm',
    'Conv',
    'ConvTranspose',
    'MaxPool',
    'AveragePool',
    'DequantizeLinear',
    'QuantizeLinear',
    'DynamicQuantizeLinear',
  ],
  // movement
  ...['Reshape', 'Transpose', 'Squeeze', 'Unsqueeze', 'Expand', 'Concat', 'Split', 'Slice', 'Pad', 'Tile', 'Flatten', 'Trilu'],
  // indexing
  ...['Gather', 'GatherElements', 'GatherND', 'ScatterND', 'ScatterElements', 'NonZero', 'TopK'],
  // reductions
  ...[
    'ReduceSum',
    'ReduceMean',
    'ReduceMax',
    'ReduceMin',
    'ReduceSumSquare',
    'ReduceProd',
    'ReduceL2',
    'ReduceLogSumExp',
    'CumSum',
  ],
  // normalisation and activations that the runtime computes in one pass
  ...['Softmax', 'LogSoftmax', 'LayerNormalization', 'SimplifiedLayerNormalization', 'Gelu'],
  // recurrence over a length known at the run only
  ...['LSTM', 'GRU', 'RNN'],
  // shapes
  ...['Shape', 'ConstantOfShape', 'Range'],
] as const

/** Contrib operators of the inference runtime: each saves a copy or a chain of passes over memory. */
export const microsoftOperators = [
  'FusedMatMul', // transposed batched products without a transposed copy
  'RotaryEmbedding', // one pass instead of six; its backward is itself with the angle negated
  'FastGelu',
  'MatMulNBits', // products with frozen weights in 4 or 8 bits
  'GatherBlockQuantized', // rows of such weights
  'MatMulIntegerToFloat', // int8 products with frozen weights
  'QuickGelu', // x·sigmoid(αx); SiLU for α = 1
] as const

/** The operators by name alone: none has another meaning in another domain. */
export type EmittableName = (typeof standardOperators)[number] | (typeof microsoftOperators)[number]

/** Operators that lowrank emits, `Op` or `domain.Op`: all that a graph of its making can hold. */
export const emittableOps: ReadonlySet<string> = new Set([
  ...standardOperators,
  ...microsoftOperators.map((op) => `com.microsoft.${op}`),
])

export const operatorKey = (op: string, domain: string): string =>
  domain === '' || domain === 'ai.onnx' ? op : `${domain}.${op}`

export function assertEmittable(op: string, domain: string): void {
  if (!emittableOps.has(operatorKey(op, domain)))
    throw new TypeError(`internal: operator "${operatorKey(op, domain)}" is not in the closed list of src/graph/allowed-ops.ts`)
}
