/** @file Mutations of bytes that know nothing of the format. */
import type { Random } from './random.js'

type Mutation = (bytes: Uint8Array, random: Random) => Uint8Array

const join = (...parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts))

/** A stretch of at most 64 bytes, as [start, end). */
function stretch(bytes: Uint8Array, random: Random): [number, number] {
  const start = random.below(bytes.length + 1)
  return [start, Math.min(bytes.length, start + 1 + random.below(64))]
}

const edited = (bytes: Uint8Array, edit: (copy: Uint8Array) => void): Uint8Array => {
  const copy = bytes.slice()
  if (copy.length > 0) edit(copy)
  return copy
}

/** Numbers at which lengths and offsets break. */
const edges = [0n, 1n, 0x7fn, 0xffn, 0xffffn, 0x7fffffffn, 0xffffffffn, 1n << 53n, (1n << 63n) - 1n, 1n << 63n, (1n << 64n) - 1n]

/** A number as a varint of Protocol Buffers. */
function varint(value: bigint): Uint8Array {
  const result: number[] = []
  for (let rest = value; ; rest >>= 7n) {
    if (rest < 128n) return Uint8Array.from([...result, Number(rest)])
    result.push(Number(rest & 127n) | 128)
  }
}

const mutations: readonly Mutation[] = [
  // Bit flips.
  (bytes, random) => edited(bytes, (copy) => (copy[random.below(copy.length)]! ^= 1 << random.below(8))),
  // Other bytes.
  (bytes, random) => edited(bytes, (copy) => (copy[random.below(copy.length)] = random.below(256))),
  // Truncation.
  (bytes, random) => bytes.slice(0, random.below(bytes.length + 1)),
  // A chunk is removed.
  (bytes, random) => {
    const [start, end] = stretch(bytes, random)
    return join(bytes.subarray(0, start), bytes.subarray(end))
  },
  // A chunk is repeated.
  (bytes, random) => {
    const [start, end] = stretch(bytes, random)
    return join(bytes.subarray(0, end), bytes.subarray(start))
  },
  // A chunk goes to another place.
  (bytes, random) => {
    const [start, end] = stretch(bytes, random)
    const at = random.below(bytes.length + 1)
    return join(bytes.subarray(0, at), bytes.subarray(start, end), bytes.subarray(at))
  },
  // A length or an offset of 4 or 8 bytes, at the beginning, the end or anywhere.
  (bytes, random) =>
    edited(bytes, (copy) => {
      const width = random.pick([2, 4, 8])
      if (copy.length < width) return
      const last = copy.length - width
      const near = Math.min(last, random.below(64))
      const at = random.pick([near, last - near, random.below(last + 1)])
      for (let i = 0, value = random.pick(edges); i < width; i++, value >>= 8n) copy[at + i] = Number(value & 255n)
    }),
  // A varint in place of a byte.
  (bytes, random) => {
    const at = random.below(bytes.length + 1)
    return join(bytes.subarray(0, at), varint(random.pick(edges)), bytes.subarray(at + 1))
  },
]

/** One to four of these mutations, one after the other. */
export function mutateBytes(bytes: Uint8Array, random: Random): Uint8Array {
  let result = bytes
  for (let left = 1 + random.below(4); left > 0; left--) result = random.pick(mutations)(result, random)
  return result
}
