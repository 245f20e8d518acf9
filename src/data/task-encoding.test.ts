/**
 * @file What a tokenised row of a task brings for each token is cut with the tokens, and refused where it is not as long as
 * they are.
 */
import { describe, expect, it } from 'vitest'
import type { Value } from '../graph/types.js'
import { scalarLabel, taskEncoding } from './task-encoding.js'

const input = (name: string, dtype: Value['dtype'], ...more: (string | number)[]): Value =>
  ({ name, dtype, shape: ['batch', 'sequence', ...more] }) as Value
const inputs = [
  input('input_ids', 'int64'),
  input('attention_mask', 'int64'),
  input('token_type_ids', 'int64'),
  input('position_ids', 'int64'),
  input('bbox', 'int64', 2),
]
const encode = (value: Record<string, unknown>, options: object = {}, reading: { keepPadding?: boolean } = {}) => {
  const encoding = taskEncoding(
    { vocabularySize: 100, maxPositions: 6, inputs, ...options },
    () => ({ fields: { labels: scalarLabel(1) }, tokens: 1 }),
    reading,
  )
  const [fields] = encoding.encode({ value, file: 'd.jsonl', line: 2 }).rows
  return Object.fromEntries(Object.entries(fields!).map(([name, { values }]) => [name, Array.from(values)]))
}
const row = {
  input_ids: [5, 6, 7, 0, 0],
  attention_mask: [1, 1, 1, 0, 0],
  token_type_ids: [0, 0, 1, 0, 0],
  position_ids: [2, 3, 4, 1, 1],
  bbox: [
    [0, 1],
    [2, 3],
    [4, 5],
    [0, 0],
    [0, 0],
  ],
}

describe('what a tokenised row brings for each token', () => {
  it('is cut where its padding is, and its own positions are used', () => {
    expect(encode(row)).toEqual({
      input_ids: [5, 6, 7],
      attention_mask: [1, 1, 1],
      token_type_ids: [0, 0, 1],
      position_ids: [2, 3, 4],
      bbox: [0, 1, 2, 3, 4, 5],
      labels: [1],
    })
    expect(encode(row, {}, { keepPadding: true })).toMatchObject({
      position_ids: [2, 3, 4, 1, 1],
      bbox: [0, 1, 2, 3, 4, 5, 0, 0, 0, 0],
    })
  })

  it("is cut at maxLength, or else at the model's positions", () => {
    expect(encode(row, { maxLength: 2 })).toMatchObject({ input_ids: [5, 6], position_ids: [2, 3], bbox: [0, 1, 2, 3] })
    const long = {
      ...{ input_ids: Array(8).fill(9), token_type_ids: Array(8).fill(1), bbox: Array(8).fill([3, 4]) },
    }
    expect(encode(long)).toMatchObject({
      input_ids: Array(6).fill(9),
      token_type_ids: Array(6).fill(1),
      position_ids: [0, 1, 2, 3, 4, 5],
      bbox: Array(6).fill([3, 4]).flat(),
    })
  })

  it('must be as many as the tokens', () => {
    expect(() => encode({ ...row, bbox: row.bbox.slice(1) })).toThrow('"bbox" holds 4 positions and "input_ids" 3')
    expect(() => encode({ ...row, position_ids: [0] })).toThrow('"position_ids" holds 1 numbers and "input_ids" 5')
  })
})
