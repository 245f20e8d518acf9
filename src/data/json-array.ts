/** @file Where the elements of a JSON array begin, found in chunks of bytes: an array of any size is read one element at a time. */
import { InvalidDataError } from '../errors.js'
import type { Places } from './places.js'

const [TAB, NEWLINE, RETURN, SPACE] = [0x09, 0x0a, 0x0d, 0x20]
const [QUOTE, BACKSLASH, COMMA] = [0x22, 0x5c, 0x2c]
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d]

/** What may come next, outside of elements; `item` begins one. */
type Expected = '[' | 'item or ]' | 'item' | ', or ]' | 'nothing'

const words: Readonly<Record<Expected, string>> = {
  '[': 'the bracket that opens the list',
  'item or ]': 'a row or the closing bracket',
  item: 'a row after the comma',
  ', or ]': 'a comma or the closing bracket after the row',
  nothing: 'nothing after the closing bracket',
}

/**
 * Notes byte offset and line of each element. Only brackets, quotes and commas are looked at: whether an element is JSON
 * shows when it is read. The text of an element goes up to the next one's beginning, its separator included.
 */
export class JsonArrayIndex {
  private line = 1
  private expected: Expected = '['
  /** Brackets that are open inside the element; 0 in one that is neither object nor list. */
  private depth = 0
  private inElement = false
  private inString = false
  private escaped = false

  constructor(
    private readonly file: string,
    private readonly places: Places,
  ) {}

  scan(chunk: Uint8Array, from: number, offset: number): void {
    for (let i = from; i < chunk.length; i++) {
      const byte = chunk[i]!
      if (byte === NEWLINE) this.line++
      if (this.inString) {
        if (this.escaped) this.escaped = false
        else if (byte === BACKSLASH) this.escaped = true
        else if (byte === QUOTE) this.inString = false
      } else if (this.inElement && this.depth > 0) {
        if (byte === QUOTE) this.inString = true
        else if (byte === OPEN_OBJECT || byte === OPEN_LIST) this.depth++
        else if ((byte === CLOSE_OBJECT || byte === CLOSE_LIST) && --this.depth === 0) this.endElement()
      } else if (byte === SPACE || byte === NEWLINE || byte === RETURN || byte === TAB) continue
      else this.outside(byte, offset + i)
    }
  }

  /** A byte that is no blank, outside of objects, lists and texts. */
  private outside(byte: number, place: number): void {
    const { expected } = this
    if (this.inElement) {
      // A number or a word goes on; a text has just ended.
      if (byte !== COMMA && byte !== CLOSE_LIST) return
      this.endElement()
      return this.outside(byte, place)
    }
    if (expected === '[' && byte === OPEN_LIST) this.expected = 'item or ]'
    else if (byte === CLOSE_LIST && (expected === 'item or ]' || expected === ', or ]')) this.expected = 'nothing'
    else if (byte === COMMA && expected === ', or ]') this.expected = 'item'
    else if ((expected === 'item' || expected === 'item or ]') && byte !== COMMA && byte !== CLOSE_LIST) {
      this.places.add(place, this.line)
      this.inElement = true
      if (byte === OPEN_OBJECT || byte === OPEN_LIST) this.depth = 1
      else if (byte === QUOTE) this.inString = true
    } else
      throw new InvalidDataError(
        `${this.file}, line ${this.line}: ${JSON.stringify(String.fromCharCode(byte))} where the JSON array needs ${words[expected]}; write rows as [{…}, {…}].`,
      )
  }

  private endElement(): void {
    this.inElement = false
    this.expected = ', or ]'
  }

  finish(): void {
    if (this.expected === 'nothing') return
    const where = this.inElement ? `the row on line ${this.places.lastLine} is not whole` : `${words[this.expected]} is missing`
    throw new InvalidDataError(
      `${this.file}, line ${this.line}: the JSON array ends too early: ${where}; get the file again, or write it again.`,
    )
  }
}
