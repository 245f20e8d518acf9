/** @file METEOR's normaliser: each rule of its definition, on a text that needs it. */
import { describe, expect, it } from 'vitest'
import { normalizedWords, wordsOf } from './normalize.js'

const cases: Readonly<Record<string, readonly (readonly [text: string, words: string])[]>> = {
  'punctuation is told apart, letters and digits are not': [
    ['What?! (yes) a/b @home 5%', 'what ? ! ( yes ) a / b @ home 5 %'],
    ['£20-25 café Привет', '£ 20 25 café привет'],
    ['snake_case', 'snake _ case'],
    ['漢字', '漢 字'],
  ],
  'dots in a row are one word, whatever follows': [
    ['wait... what', 'wait ... what'],
    ['Wait..What', 'wait .. what'],
    ['so....', 'so ....'],
  ],
  'a comma between digits stays': [
    ['1,000, or a,b and 3,b or b,4', '1,000 , or a , b and 3 , b or b , 4'],
    // As with every replacement from left to right, what was taken once is not looked at again.
    ['a,,b', 'a , ,b'],
  ],
  'quotes are of one form': [
    ['“so” he said', '" so " he said'],
    ["''so''", '" so "'],
    ['‘so’', "' so '"],
    ['``so', '" so'],
  ],
  'hyphens between words go, others are words': [
    ['family-friendly', 'family friendly'],
    ['a - b', 'a - b'],
    ['a -- b – c', 'a - b - c'],
    ['-5', '-5'],
  ],
  'apostrophes go with the letters behind them': [
    ["It's the dogs' o'clock", "it 's the dogs ' o 'clock"],
    ["the 1980's and 7'", "the 1980 's and 7 '"],
    ["'twas", "' twas"],
  ],
  'the final dot is told apart where it ends a sentence': [
    ['He left. She stayed.', 'he left . she stayed .'],
    ['He left. she stayed.', 'he left. she stayed .'],
    ['Mr. Smith of the U.S. and No. 5, No. Really', 'mr. smith of the us and no. 5 , no . really'],
    ['e.g. this, i.e. that', 'eg this , ie that'],
    ['3.5 is 3.', '3.5 is 3 .'],
    ['a .', 'a .'],
    ['3.4. Then', '3.4 . then'],
  ],
  'white space is what Java takes for it': [
    ['  a\tb\n c  ', 'a b c'],
    ['', ''],
    ['a\u00a0b', 'a \u00a0 b'],
  ],
}

describe('words as METEOR compares them', () => {
  for (const [rule, texts] of Object.entries(cases))
    it(rule, () => {
      for (const [text, words] of texts) expect(normalizedWords(text), text).toEqual(words === '' ? [] : words.split(/ /))
    })

  it('are only lower-cased and parted without normalisation', () => {
    expect(wordsOf(" It's\tHERE , now. ")).toEqual(["it's", 'here', ',', 'now.'])
  })
})
