/** @file Attributes of nodes as numbers and texts. */
import { isFileTensor, type Node } from './types.js'

/** An attribute that is an integer; `fallback` if it is absent or something else. */
export function integerAttribute({ attributes }: Pick<Node, 'attributes'>, name: string, fallback: number): number {
  const attribute = attributes[name]
  return attribute?.type === 'int' ? attribute.value : fallback
}

/** An attribute that is a number of either kind. */
export function numberAttribute({ attributes }: Pick<Node, 'attributes'>, name: string, fallback: number): number {
  const attribute = attributes[name]
  return attribute?.type === 'int' || attribute?.type === 'float' ? attribute.value : fallback
}

/** An attribute that is a float. */
export function floatAttribute({ attributes }: Pick<Node, 'attributes'>, name: string, fallback: number): number {
  const attribute = attributes[name]
  return attribute?.type === 'float' ? attribute.value : fallback
}

/** An attribute that is text. */
export function textAttribute({ attributes }: Pick<Node, 'attributes'>, name: string, fallback: string): string {
  const attribute = attributes[name]
  return attribute?.type === 'string' ? attribute.value : fallback
}

/** An attribute that is a list of integers; undefined if it is absent or something else. */
export function integersAttribute({ attributes }: Pick<Node, 'attributes'>, name: string): readonly number[] | undefined {
  const attribute = attributes[name]
  return attribute?.type === 'ints' ? attribute.value : undefined
}

/** The number that a `ConstantOfShape` is full of; undefined for other nodes. */
export function fillOf(node: Pick<Node, 'op' | 'attributes'> | undefined): number | undefined {
  if (node?.op !== 'ConstantOfShape') return undefined
  const fill = node.attributes['value']
  if (fill?.type !== 'tensor') return 0
  return isFileTensor(fill.value) ? undefined : Number(fill.value.data[0])
}
