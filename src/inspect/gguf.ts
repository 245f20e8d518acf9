/** @file What a GGUF file with a model holds: metadata, and the matrices with their types. */
import { readGgufHeader } from '../formats/gguf/index.js'
import { elementCount } from '../graph/types.js'
import type { Environment } from '../environment.js'
import type { FileInspection } from './inspection.js'

/** Longest array that is shown item by item. */
const SHOWN_ITEMS = 8

/** Describes a GGUF file; weights are not read. @throws InvalidModelError if it is damaged */
export async function inspectGguf(path: string, { files }: Environment): Promise<FileInspection> {
  const { version, metadata, tensors } = await readGgufHeader(files, path)
  const shown = [...metadata].map(([key, value]): [string, string] => {
    if (value.type !== 'array') return [key, String(value.value)]
    const { items, value: list } = value
    const plain = items !== 'array' && list.length <= SHOWN_ITEMS
    return [key, plain ? list.map(String).join(', ') : `${list.length} of type ${items}`]
  })
  return {
    kind: 'gguf',
    path,
    parameters: [...tensors.values()].reduce((sum, { shape }) => sum + elementCount(shape), 0),
    bytes: await files.size(path),
    tensors: tensors.size,
    metadata: { 'GGUF version': String(version), ...Object.fromEntries(shown) },
    modules: [...tensors]
      .filter(([name, { shape }]) => name.endsWith('.weight') && shape.length >= 2)
      .map(([name, { shape, type }]) => ({
        name: name.slice(0, -'.weight'.length),
        kind: type,
        shape,
        parameters: elementCount(shape),
      })),
  }
}
