/** @file SentencePiece's character map (nmt_nfkc and its like), as `precompiled_charsmap` of a normalizer holds it. */
import { byteLength, eachByte } from './bytes.js'
import { clusterEnds } from './graphemes.js'
import type { Component } from './json.js'

/** Longer clusters are mapped character by character. */
const MAX_CLUSTER_BYTES = 5

/**
 * A double array of bytes (Darts-clone's units of 32 bits) that leads from a text to the place of its replacement, and
 * the replacements, each ended by a zero byte.
 */
export class CharacterMap {
  private readonly units: Uint32Array
  private readonly replacements: Uint8Array
  private readonly decoder = new TextDecoder()
  private readonly known = new Map<string, string | undefined>()

  private constructor(bytes: Uint8Array<ArrayBuffer>, size: number) {
    this.units = new Uint32Array(bytes.buffer.slice(4, 4 + size))
    this.replacements = bytes.subarray(4 + size)
  }

  /** @throws InvalidDataError if the map is damaged */
  static read(component: Component): CharacterMap {
    const text = component.text('precompiled_charsmap')
    let bytes: Uint8Array<ArrayBuffer>
    try {
      bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0))
    } catch {
      return component.refuse('"precompiled_charsmap" is not base64; fetch the file again.')
    }
    const size = bytes.length < 4 ? -1 : new DataView(bytes.buffer).getUint32(0, true)
    if (size < 4 || size % 4 !== 0 || 4 + size > bytes.length)
      component.refuse('"precompiled_charsmap" is damaged: its length does not fit; fetch the file again.')
    return new CharacterMap(bytes, size)
  }

  normalize(text: string): string {
    let out = ''
    let start = 0
    for (const end of clusterEnds(text)) {
      out += this.cluster(text.slice(start, end))
      start = end
    }
    return out
  }

  private cluster(cluster: string): string {
    if (cluster.length <= MAX_CLUSTER_BYTES && bytesIn(cluster) <= MAX_CLUSTER_BYTES) {
      const whole = this.replacement(cluster)
      if (whole !== undefined) return whole
    }
    let out = ''
    for (const char of cluster) out += this.replacement(char) ?? char
    return out
  }

  /** Replacement of the shortest beginning of a text that has one; Python's library takes it for the whole. */
  private replacement(text: string): string | undefined {
    if (this.known.has(text)) return this.known.get(text)
    const found = this.search(text)
    // Texts here are a few bytes each; a hostile row must not grow this without bound.
    if (this.known.size < 50_000) this.known.set(text, found)
    return found
  }

  private search(text: string): string | undefined {
    const { units } = this
    let node = offsetOf(units[0]!)
    let place: number | undefined
    let ended = false
    for (const char of text) {
      eachByte(char.codePointAt(0)!, (byte) => {
        if (ended || byte === 0) {
          ended = true
          return
        }
        node ^= byte
        const unit = node < units.length ? units[node]! : 0x80000000
        if ((unit & 0x800000ff) >>> 0 !== byte) {
          ended = true
          return
        }
        node ^= offsetOf(unit)
        if (((unit >>> 8) & 1) === 1) {
          place = (units[node] ?? 0) & 0x7fffffff
          ended = true
        }
      })
      if (ended) break
    }
    if (place === undefined) return undefined
    const end = this.replacements.indexOf(0, place)
    return this.decoder.decode(this.replacements.subarray(place, end < 0 ? undefined : end))
  }
}

/** Where the children of a unit lie, relative to it. */
const offsetOf = (unit: number): number => (unit >>> 10) << ((unit & (1 << 9)) >>> 6)

function bytesIn(text: string): number {
  let bytes = 0
  for (const char of text) bytes += byteLength(char.codePointAt(0)!)
  return bytes
}
