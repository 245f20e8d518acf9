/** @file Protocol buffers, as far as event files need them: fields of a message, written one after another. */

/** A field, as bytes with its tag before. */
export type Field = readonly number[]

const utf8 = new TextEncoder()

/** A whole number of at least 0; int64 up to 2⁵³. */
function varint(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128)
  return [...bytes, rest]
}

const tag = (number: number, wire: 0 | 1 | 2 | 5): number[] => varint(number * 8 + wire)

export const integer = (number: number, value: number): Field => [...tag(number, 0), ...varint(value)]

export function double(number: number, value: number): Field {
  const view = new DataView(new ArrayBuffer(8))
  view.setFloat64(0, value, true)
  return [...tag(number, 1), ...new Uint8Array(view.buffer)]
}

export function float(number: number, value: number): Field {
  const view = new DataView(new ArrayBuffer(4))
  view.setFloat32(0, value, true)
  return [...tag(number, 5), ...new Uint8Array(view.buffer)]
}

const bytes = (number: number, content: ArrayLike<number>): Field => [
  ...tag(number, 2),
  ...varint(content.length),
  ...Array.from(content),
]

export const text = (number: number, value: string): Field => bytes(number, utf8.encode(value))

/** A message inside another. */
export const message = (number: number, ...fields: readonly Field[]): Field => bytes(number, fields.flat())
