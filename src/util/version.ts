/** @file The version of this package, which browsers cannot read from package.json. */

/** The version of lowrank. */
export const VERSION = '0.1.0'
