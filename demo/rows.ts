/**
 * @file The rows of `lowrank demo`, for what prepares it and for the bench. The command is part of the package and they of it,
 * so they lie in src; no user has a use for them, so no entry exports them.
 */
export { HELD_OUT } from '../src/cli/demo/held-out.js'
export { generateRows, reformatted, toJsonl } from '../src/cli/demo/rows.js'
