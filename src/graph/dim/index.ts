/** @file Lengths that are known at the run only: read, written, computed, compared and bound here alone. */
export {
  addDims,
  compareDims,
  divideDims,
  floorDivideDims,
  isAtLeast,
  maxDims,
  minDims,
  multiplyDims,
  normalizeDim,
  scaleDim,
  sliceDim,
  subtractDims,
  unknownDim,
} from './arithmetic.js'
export { evaluateDim, namesOf, substituteDims } from './evaluate.js'
export { dimOfFile } from './file-name.js'
export { callOf, factorsOf, parse as termsOf } from './polynomial.js'
