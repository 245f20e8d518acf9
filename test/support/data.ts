/** @file Files in memory and small tokenizers, for the tests of src/data. */
import { FileError } from '../../src/errors.js'
import type { Files } from '../../src/io/files.js'

/** `Files` that can only be read, and count what is read. */
export function memoryFiles(
  contents: Readonly<Record<string, string | Uint8Array>>,
): Files & { reads: { path: string; length: number }[] } {
  const bytesOf = (path: string): Uint8Array => {
    const content = contents[path]
    if (content === undefined) throw new FileError(`${path} does not exist; check the path`)
    return typeof content === 'string' ? new TextEncoder().encode(content) : content
  }
  const reads: { path: string; length: number }[] = []
  const refuse = (): never => {
    throw new FileError('read only')
  }
  return {
    reads,
    async read(path, range) {
      const bytes = bytesOf(path)
      const slice = range === undefined ? bytes : bytes.subarray(range.offset, range.offset + range.length)
      reads.push({ path, length: slice.length })
      return slice
    },
    readText: async (path) => new TextDecoder().decode(bytesOf(path)),
    size: async (path) => bytesOf(path).length,
    exists: async (path) => contents[path] !== undefined,
    isDirectory: async () => false,
    list: async () => Object.keys(contents).sort(),
    async *streamText(path) {
      yield new TextDecoder().decode(bytesOf(path))
    },
    realPath: async (path) => path,
    write: refuse,
    append: refuse,
    makeFolder: refuse,
    remove: refuse,
    move: refuse,
  }
}

/** Byte-level BPE without merges: each byte a token, in the alphabet of GPT-2. Special tokens follow from id 256. */
export function byteTokenizer(special: readonly string[]): string {
  const bytes = [...range(33, 126), ...range(161, 172), ...range(174, 255)]
  const alphabet = new Map(bytes.map((byte) => [byte, String.fromCharCode(byte)]))
  let next = 256
  for (let byte = 0; byte < 256; byte++) if (!alphabet.has(byte)) alphabet.set(byte, String.fromCharCode(next++))
  const vocab = Object.fromEntries([...alphabet].map(([byte, letter]) => [letter, byte]))
  return JSON.stringify({
    version: '1.0',
    added_tokens: special.map((content, i) => ({
      id: 256 + i,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true },
    decoder: { type: 'ByteLevel' },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab,
      merges: [],
    },
  })
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i)
