/** @file Batches as sub-batches. */
import { describe, expect, it } from 'vitest'
import { makeBatch } from '../data/batch.js'
import type { Example } from '../data/examples.js'
import { splitBatch, type BatchTensors } from './sub-batches.js'

/** An example whose tokens are `first`, `first` + 1, …, with a label from the third on. */
const example = (first: number, length: number): Example => {
  const inputIds = Array.from({ length }, (_, i) => first + i)
  return {
    inputIds,
    attentionMask: inputIds.map(() => 1),
    labels: inputIds.map((id, i) => (i < 2 ? -100 : id)),
    tokens: length - 2,
    truncated: false,
  }
}

/** Every row of some tensors without padding, as text, to compare them in any order. */
const rowsOf = (tensors: readonly BatchTensors[]): string[] =>
  tensors
    .flatMap(({ feeds }) => {
      const tensors = ['input_ids', 'attention_mask', 'position_ids', 'labels'].map((name) => feeds[name]!)
      const [rows, width] = tensors[0]!.shape as [number, number]
      return Array.from({ length: rows }, (_, row) =>
        Array.from({ length: width }, (_, i) => tensors.map((t) => String(t.data[row * width + i])))
          .filter(([, mask, , label]) => mask !== '0' || label !== '-100')
          .join(' '),
      )
    })
    .sort()

describe('splitBatch', () => {
  const lengths = [3, 9, 4, 4, 10, 3, 5]
  const batch = makeBatch(
    lengths.map((length, i) => [example(100 * i, length)]),
    { padTokenId: 0 },
  )

  it('puts rows of similar length together, none padded beyond its sub-batch', () => {
    expect(splitBatch(batch, 20).map(({ feeds }) => feeds['input_ids']!.shape)).toEqual([
      [2, 10],
      [4, 5],
      [1, 3],
    ])
  })

  it('keeps every token, position and label of every row', () => {
    for (const positions of [1, 8, 20, 1000]) expect(rowsOf(splitBatch(batch, positions))).toEqual(rowsOf([batch]))
  })

  it('fills short sub-batches up to what the graph takes at least, with padding that counts for nothing', () => {
    const subBatches = splitBatch(batch, 20, 6)
    expect(subBatches.map(({ feeds }) => feeds['input_ids']!.shape[1])).toEqual([10, 6, 6])
    expect(rowsOf(subBatches)).toEqual(rowsOf([batch]))
  })

  it('gives a row that is longer than a sub-batch one of its own', () => {
    expect(splitBatch(batch, 4).map(({ feeds }) => feeds['input_ids']!.shape[0])).toEqual([1, 1, 1, 1, 1, 1, 1])
  })

  it('keeps labels of hidden tokens, and padding before a row', () => {
    const hidden = { ...example(1, 6), attentionMask: [1, 1, 1, 0, 0, 0] }
    const left = makeBatch([[hidden], [example(50, 8)]], { padTokenId: 0, leftPad: true })
    expect(splitBatch(left, 1).map(({ feeds }) => feeds['input_ids']!.shape)).toEqual([
      [1, 8],
      [1, 8],
    ])
  })
})
