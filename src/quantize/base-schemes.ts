/** @file The ways to hold frozen weights, by name. */

/**
 * How frozen weights are held: as they are; in 8 bits for each output with 8-bit activations (products run several times
 * as fast); in 4 bits in blocks of 32 (an eighth of the memory).
 */
export type BaseScheme = 'fp32' | 'int8' | 'int4'

/** Ways to hold frozen weights. */
export const baseSchemes: readonly BaseScheme[] = ['fp32', 'int8', 'int4']
