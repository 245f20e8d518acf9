/** @file Text streamed by token is the whole text, in whole characters, and no part of a stop string. */
import { describe, expect, it } from 'vitest'
import { TextStream } from './text-stream.js'

/** Tokens are bytes; like byte-level tokenizers, an incomplete character decodes to U+FFFD. */
const bytes = { decode: (ids: readonly number[]): string => new TextDecoder().decode(Uint8Array.from(ids)) }
const encode = (text: string): number[] => [...new TextEncoder().encode(text)]

/** Tokens are words that carry their own space, which a decoder strips at the beginning, as SentencePiece's does. */
const words = ['▁Once', '▁upon', '▁a', '▁time', ',']
const pieces = {
  decode: (ids: readonly number[]): string =>
    ids
      .map((id) => words[id]!)
      .join('')
      .replaceAll('▁', ' ')
      .replace(/^ /, ''),
}

function run(
  decoder: { decode(ids: readonly number[]): string },
  prompt: number[],
  ids: number[],
  stops: string[] = [],
): { deltas: string[]; stream: TextStream } {
  const stream = new TextStream(decoder, prompt, stops)
  const deltas: string[] = []
  for (const id of ids) {
    deltas.push(stream.push(id))
    if (stream.stopped) break
  }
  deltas.push(stream.finish())
  return { deltas, stream }
}

describe('TextStream', () => {
  it('gives whole characters only, and all of the text', () => {
    const { deltas, stream } = run(bytes, encode('é'), encode('aé€😀b'))
    expect(deltas.filter((d) => d !== '')).toEqual(['a', 'é', '€', '😀', 'b'])
    expect(stream.text).toBe('aé€😀b')
  })

  it('keeps the space between prompt and text', () => {
    expect(run(pieces, [0, 1], [2, 3, 4]).stream.text).toBe(' a time,')
    // At the very beginning there is none.
    expect(run(pieces, [], [0, 1]).stream.text).toBe('Once upon')
  })

  it('cuts before a stop string, also across tokens, and never shows a part of it', () => {
    const { deltas, stream } = run(bytes, [], encode('one END two'), ['END'])
    expect([stream.stopped, stream.text]).toEqual([true, 'one '])
    expect(deltas.join('')).toBe('one ')
  })

  it('gives out what only began like a stop string', () => {
    const { stream } = run(bytes, [], encode('xENx EN'), ['END'])
    expect([stream.stopped, stream.text]).toEqual([false, 'xENx EN'])
    // All is out; asked again, there is nothing more.
    expect([stream.finish(), stream.text]).toEqual(['', 'xENx EN'])
  })

  it('gives out half a character only at the end', () => {
    const { deltas } = run(bytes, [], [...encode('a€').slice(0, 3)])
    expect(deltas).toEqual(['a', '', '', '\uFFFD'])
  })

  it('stops at the earliest of several', () => {
    expect(run(bytes, [], encode('a.b\nc'), ['\n', '.']).stream.text).toBe('a')
  })
})
