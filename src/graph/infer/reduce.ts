/** @file Element types and shapes of reductions and of what else goes along axes. */
import { unknownDim } from '../dim/index.js'
import { forAll, like, type Inference } from './context.js'

const reduce: Inference = (c) => {
  const axes = c.reducedAxes()
  const keep = c.int('keepdims', 1) === 1
  const shape = c.shape(0).flatMap((dim, i) => (axes.includes(i) ? (keep ? [1] : []) : [dim]))
  return [{ dtype: c.dtype(0), shape }]
}

const argument: Inference = (c) => {
  const axis = c.axis(0)
  const keep = c.int('keepdims', 1) === 1
  return [{ dtype: 'int64', shape: c.shape(0).flatMap((d, i) => (i === axis ? (keep ? [1] : []) : [d])) }]
}

export const reductions = {
  ...forAll(
    ['ReduceSum', 'ReduceMean', 'ReduceMax', 'ReduceMin', 'ReduceSumSquare', 'ReduceL2', 'ReduceLogSumExp', 'ReduceProd'],
    reduce,
  ),
  ...forAll(['Softmax', 'LogSoftmax', 'Hardmax', 'CumSum'], like),
  ...forAll(['ArgMax', 'ArgMin'], argument),
  TopK: (c) => {
    const shape = c.shape(0)
    const axis = c.axis(-1)
    const k = c.dims(1)?.[0] ?? unknownDim('k', c.input(1).name)
    const result = shape.map((d, i) => (i === axis ? k : d))
    return [
      { dtype: c.dtype(0), shape: result },
      { dtype: 'int64' as const, shape: result },
    ].slice(0, c.outputCount)
  },
} satisfies Readonly<Record<string, Inference>>
