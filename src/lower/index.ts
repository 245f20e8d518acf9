/** @file Public surface of `lowrank/lower`: imported graphs into a form that has gradients. */
export { lower, builtinLowerings, type LowerOptions, type LowerReport } from './lower.js'
export type { DimOverrides } from './file-dims.js'
export type { InputConstant, InputConstants } from './input-constants.js'
export type { LowerContext, Lowering, LoweringTable } from './context.js'
