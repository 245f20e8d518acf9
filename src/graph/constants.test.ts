/**
 * @file Numbers of constants of every element type, by hand: out of range refused, int64 exact, 4 bits in their own packing.
 */
import { describe, expect, it } from 'vitest'
import { bytesOf, fromBytes, numbersOf, tensor } from './constants.js'
import type { HostTensor } from './types.js'

describe('numbers of constants', () => {
  it.each([
    ['float16', [1, -0.5, 65504, Infinity]],
    ['bfloat16', [1, -0.5, 3.140625, -Infinity]],
    ['bool', [0, 1]],
    ['uint64', [0, 2 ** 40]],
    ['int64', [-(2 ** 63), -1, 2 ** 52]],
  ] as const)('%s are what was put in, from bytes as well', (dtype, values) => {
    const held = tensor(dtype, [values.length], values)
    expect(numbersOf(held)).toEqual(values)
    expect(numbersOf(fromBytes(dtype, [values.length], bytesOf(held)))).toEqual(values)
  })

  it('the largest of int64 is held as it is', () => {
    expect(tensor('int64', [2], [2 ** 63, Infinity]).data).toEqual(BigInt64Array.of(2n ** 63n - 1n, 2n ** 63n - 1n))
  })

  it('two in a byte are not read as one', () => {
    const packed: HostTensor = fromBytes('int4', [3], Uint8Array.of(0x21, 0x0f))
    expect(packed.data).toHaveLength(2)
    expect(numbersOf(packed)).toBeUndefined()
    expect(() => fromBytes('uint4', [3], Uint8Array.of(1, 2, 3))).toThrow(/needs 2 bytes, got 3/)
    expect(() => tensor('int4', [2], [1, 2])).toThrow(/packed/)
  })
})
