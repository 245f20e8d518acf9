/** @file Telling contents apart: a hash of every byte, found once for each state of a file. */
import { FileError } from '../errors.js'
import type { Files } from '../io/files.js'

const CHUNK_BYTES = 8 << 20
/** The hash of a file of this size takes long enough to be remembered beyond the process. */
const REMEMBERED_BYTES = 64 << 20
/** Files behind a network are sampled: at their beginning, their end and in between. */
const SAMPLES = 16
const SAMPLE_BYTES = 64 << 10

const P1 = 0x9e3779b1
const P2 = 0x85ebca77
const rotate = (x: number, by: number): number => (x << by) | (x >>> (32 - by))

/**
 * 128 bits over bytes that come in pieces: four lanes of xxHash's 32-bit round, each of which takes every fourth word. A
 * round is a bijection of its word, so no single change of a word goes unnoticed. It is made for speed and for accidents,
 * not against attackers.
 */
export class ContentHash {
  private readonly lanes = Uint32Array.of(0x24234428, P2, 0, 0x61c8864f)
  private readonly rest = new Uint8Array(16)
  private held = 0
  private length = 0

  update(bytes: Uint8Array): this {
    this.length += bytes.length
    let at = 0
    if (this.held > 0) {
      at = Math.min(16 - this.held, bytes.length)
      this.rest.set(bytes.subarray(0, at), this.held)
      this.held += at
      if (this.held < 16) return this
      this.rounds(this.rest)
      this.held = 0
    }
    const whole = at + ((bytes.length - at) & ~15)
    this.rounds(bytes.subarray(at, whole))
    this.rest.set(bytes.subarray(whole))
    this.held = bytes.length - whole
    return this
  }

  /** @param bytes a multiple of 16 */
  private rounds(bytes: Uint8Array): void {
    // A view of words begins at a multiple of 4.
    const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice()
    const words = new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.length / 4)
    let [a, b, c, d] = this.lanes as unknown as [number, number, number, number]
    for (let i = 0; i < words.length; i += 4) {
      a = Math.imul(rotate((a + Math.imul(words[i]!, P2)) | 0, 13), P1)
      b = Math.imul(rotate((b + Math.imul(words[i + 1]!, P2)) | 0, 13), P1)
      c = Math.imul(rotate((c + Math.imul(words[i + 2]!, P2)) | 0, 13), P1)
      d = Math.imul(rotate((d + Math.imul(words[i + 3]!, P2)) | 0, 13), P1)
    }
    this.lanes.set([a, b, c, d])
  }

  /** The hash of all bytes so far, as 32 hexadecimal digits; nothing may follow. */
  digest(): string {
    this.rounds(this.rest.fill(0, this.held))
    const length = Uint32Array.of(this.length, Math.floor(this.length / 2 ** 32), 0, 0)
    this.rounds(new Uint8Array(length.buffer))
    return [...this.lanes].map((lane) => lane.toString(16).padStart(8, '0')).join('')
  }
}

const utf8 = new TextEncoder()

/** The hash of a text. */
export const fingerprintText = (text: string): string => new ContentHash().update(utf8.encode(text)).digest()

/** The hash of numbers as they lie in memory. */
export const fingerprintArray = ({ buffer, byteOffset, byteLength }: ArrayBufferView): string =>
  new ContentHash().update(new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength)).digest()

const isRemote = (path: string): boolean => /^https?:/i.test(path)

async function hashFile(files: Files, path: string, size: number): Promise<string> {
  const hash = new ContentHash()
  if (isRemote(path) && size > SAMPLES * SAMPLE_BYTES) {
    for (let i = 0; i < SAMPLES; i++) {
      const offset = Math.floor((i * (size - SAMPLE_BYTES)) / (SAMPLES - 1))
      hash.update(await files.read(path, { offset, length: SAMPLE_BYTES }))
    }
    return hash.digest()
  }
  for (let offset = 0; offset < size; offset += CHUNK_BYTES)
    hash.update(await files.read(path, { offset, length: Math.min(CHUNK_BYTES, size - offset) }))
  return hash.digest()
}

/** By version: what this process has found. */
const found = new Map<string, string>()

interface Remembered {
  readonly path: string
  readonly version: string
  readonly print: string
}

async function recall(files: Files, note: string, version: string): Promise<string | undefined> {
  try {
    if (!(await files.exists(note))) return undefined
    const told = JSON.parse(await files.readText(note)) as Partial<Remembered>
    return told.version === version && typeof told.print === 'string' ? told.print : undefined
  } catch (error) {
    // Whatever is wrong with a note, the file itself is still there to be read.
    if (error instanceof FileError || error instanceof SyntaxError || error instanceof TypeError) return undefined
    throw error
  }
}

/**
 * Size of a file and a hash of every byte of it, as text. A file is read once in each of its states, which device, inode,
 * size and times tell; of a large one the hash is remembered in `cacheFolder` for later processes. Of a file behind a
 * network the hash is of samples throughout.
 */
export async function fingerprintFile(files: Files, path: string, cacheFolder?: string): Promise<string> {
  const size = await files.size(path)
  const version = await files.version?.(path)
  if (version === undefined) return `${size}:${await hashFile(files, path, size)}`
  const known = found.get(version)
  if (known !== undefined) return known
  const note =
    cacheFolder === undefined || size < REMEMBERED_BYTES
      ? undefined
      : `${cacheFolder}/fingerprints/${fingerprintText(await files.realPath(path))}.json`
  let print = note && (await recall(files, note, version))
  if (print === undefined) {
    print = `${size}:${await hashFile(files, path, size)}`
    // What changed while it was read has no fingerprint that holds.
    if ((await files.version?.(path)) !== version) return print
    const told: Remembered = { path, version, print }
    if (note !== undefined) await files.write(note, `${JSON.stringify(told)}\n`).catch(() => undefined)
  }
  found.set(version, print)
  return print
}
