/** @file Answers told in characters lie at the tokens that transformers finds for them by offsets; what is not there is refused. */
import { describe, expect, it } from 'vitest'
import { byteTokenizer, memoryFiles } from '../../test/support/data.js'
import { loadTokenizer } from '../index.js'
import { answerTokens, hasAnswers } from './answer-span.js'
import type { Row } from './rows.js'
import { openTokenizer } from '../model/find-tokenizer.js'

const row = (value: Record<string, unknown>): Row => ({ value, file: 'd.jsonl', line: 7 })
const squad = (context: string, text: readonly string[], answer_start: readonly number[]): Row =>
  row({ question: 'what is this ?', context, answers: { text, answer_start } })

describe('a byte is a token', () => {
  const files = memoryFiles({ 'm/tokenizer.json': byteTokenizer([]), 'm/tokenizer_config.json': '{}' })
  const context = 'é the 😀 film was good'
  const question = new TextEncoder().encode('what is this ?').length
  const bytesTo = (text: string): number => question + new TextEncoder().encode(text).length

  it('counts characters as Python does', async () => {
    const tokenizer = await openTokenizer(files, 'm')
    const { ids } = tokenizer.encodeTexts(['what is this ?', context])
    const start = bytesTo('é the 😀 ')
    expect(answerTokens(squad(context, ['film', 'other'], [8, 0]), ids, tokenizer)).toEqual([start, start + 3])
    expect(answerTokens(squad(context, ['é'], [0]), ids, tokenizer)).toEqual([question, question + 1])
    expect(answerTokens(squad(context, [], []), ids, tokenizer)).toEqual([0, 0])
    const list = row({ question: 'what is this ?', context, answers: [{ text: 'film', answer_start: 8 }] })
    expect(answerTokens(list, ids, tokenizer)).toEqual([start, start + 3])
  })

  it('finds the context in a row that was cut, or says that the answer was', async () => {
    const tokenizer = await openTokenizer(files, 'm')
    const encode = (most: number): readonly number[] => tokenizer.encodeTexts(['what is this ?', context], most).ids
    const [start, end] = answerTokens(squad(context, ['the'], [2]), encode(30), tokenizer)!
    expect(new TextDecoder().decode(Uint8Array.from(encode(30).slice(start, end + 1)))).toBe('the')
    expect(answerTokens(squad(context, ['good'], [17]), encode(30), tokenizer)).toBeUndefined()
  })

  it('takes tokens that a row brings, padding behind them, and refuses those of other texts', async () => {
    const tokenizer = await openTokenizer(files, 'm')
    const { ids } = tokenizer.encodeTexts(['what was this ?', context])
    expect(() => answerTokens(squad(context, ['film'], [8]), ids, tokenizer)).toThrow(
      '"answers": the row has other tokens than its question and context; give "start_positions"',
    )
    const padded = [...tokenizer.encodeTexts(['what is this ?', context]).ids, 0, 0]
    expect(answerTokens(squad(context, ['film'], [8]), padded, tokenizer)).toEqual([
      bytesTo('é the 😀 '),
      bytesTo('é the 😀 film') - 1,
    ])
  })

  it.each([
    [['film'], [9], '"answers".text "film" does not stand at character 9 of "context", which is "ilm "; it stands at 8.'],
    [['cat'], [1], 'which is " th"; it is nowhere there.'],
    [[7], [1], '"answers".text is the number 7; expected {"text": ["…"], "answer_start": [0]}'],
    [['film'], ['8'], '"answers".answer_start is text'],
  ])('refuses %j at %j', async (text, start, message) => {
    const tokenizer = await openTokenizer(files, 'm')
    const { ids } = tokenizer.encodeTexts(['what is this ?', context])
    expect(() => answerTokens(squad(context, text as string[], start as number[]), ids, tokenizer)).toThrow(message)
  })
})

it('BPE: what transformers 5 finds by offset_mapping', async () => {
  const tokenizer = await loadTokenizer('demo/base')
  const context =
    'the film was good and fun, what a poor show indeed it was; The Vaults pub near Café Adriatic has a 5 star rating.'
  const { ids } = tokenizer.encodeTexts(['what is this ?', context])
  const found = (text: string): unknown => answerTokens(squad(context, [text], [context.indexOf(text)]), ids, tokenizer)
  expect(['film', 'good and fun', 'Vaults pub', 'Café Adriatic', '5 star'].map(found)).toEqual([
    [11, 13],
    [16, 20],
    [40, 46],
    [48, 57],
    [61, 64],
  ])
  // Within words: the tokens that hold the answer, not their words'.
  expect(['oo', 'ilm was goo', 'ault', 'driat', 'tar rat'].map(found)).toEqual([
    [17, 17],
    [12, 17],
    [41, 42],
    [54, 56],
    [63, 66],
  ])
})

it('a row of its own positions has none', () => {
  expect(hasAnswers(row({ answers: { text: [] }, start_positions: 1 }))).toBe(false)
})
