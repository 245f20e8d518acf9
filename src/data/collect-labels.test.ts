/** @file Labels of rows: what is a name, what a number, and what is neither. */
import { describe, expect, it } from 'vitest'
import { memoryFiles } from '../io/memory-files.js'
import { labelsOfRows } from './collect-labels.js'
import { classNumber } from './labels.js'
import { openRows } from './open-rows.js'
import type { Row } from './rows.js'

const collected = async (labels: readonly string[]): Promise<unknown> => {
  const files = memoryFiles({ 'a.csv': ['text,label', ...labels.map((label) => `a,${label}`)].join('\n') })
  return labelsOfRows([await openRows(files, 'a.csv')], 'sequence-classification')
}

describe('labels of a table', () => {
  it.each([
    ['numbers', ['1', '0', '2'], { numLabels: 3 }],
    ['numbers that were written as decimals', ['1.0', '0.0'], { numLabels: 2 }],
    ['numbers to be predicted', ['3.25', '4', '1.0'], { numLabels: 1, problemType: 'regression' }],
    ['codes that begin with a zero', ['007', '042'], { labels: ['007', '042'] }],
    ['names', ['spam', 'ham'], { labels: ['ham', 'spam'] }],
  ])('are %s', async (_what, labels, expected) => {
    expect(await collected(labels)).toEqual(expected)
  })

  it('are not merged where a zero tells them apart', async () => {
    await expect(collected(['01', '1'])).rejects.toThrow(
      'a.csv, line 3: "label" is "1", but labels before it were names; write all of them as names, or all as numbers, or say the names ({ labels }, --labels a,b).',
    )
  })

  it('are refused by their line where they are empty, or numbers of something else', async () => {
    await expect(collected(['ham', '" "'])).rejects.toThrow('a.csv, line 3: "label" is empty; expected the name or the number')
    await expect(collected(['20230101', '20230102'])).rejects.toThrow(
      'a.csv, line 2: "label" is 20230101, and numbers of classes count from 0; if it is a name, say the names',
    )
  })
})

describe('the class of a label', () => {
  const row: Row = { value: {}, file: 'a.jsonl', line: 1 }
  const of = (value: unknown, labels: readonly string[]): number =>
    classNumber(row, 'label', value, { name: 'sequence-classification', numLabels: labels.length, labels, problemType: undefined } as never) // prettier-ignore

  it('is that of the name first, of a number too', () => {
    expect(['1', '0'].map((value) => of(value, ['1', '0']))).toEqual([0, 1])
    expect([3, 7].map((value) => of(value, ['3', '7']))).toEqual([0, 1])
    expect([0, 1].map((value) => of(value, ['0', '1']))).toEqual([0, 1])
    expect(of('1.0', ['ham', 'spam'])).toBe(1)
    expect(of('01', ['01', '1'])).toBe(0)
  })

  it('is asked for where a number is a name and the number of another class', () => {
    expect(() => of(1, ['1', '0'])).toThrow(
      'a.jsonl, line 1: "label" is 1, which is the name of class 0 and the number of class 1, "0"; write the name as text, "1".',
    )
  })
})
