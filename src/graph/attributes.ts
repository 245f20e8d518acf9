/** @file Attributes of nodes as numbers. */
import type { Node } from './types.js'

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
