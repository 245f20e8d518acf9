/** @file NFC, NFD, NFKC and NFKD as the crate behind Python's tokenizers knows them. */
import { setNamed, type CodePoints } from './unicode/code-points.js'

export type NormalForm = 'NFC' | 'NFD' | 'NFKC' | 'NFKD'

let tooNew: CodePoints | undefined

/**
 * Normalises a text. The tables of that crate are of Unicode 11 or so: characters that came later stay as they are and
 * part what stands on either side. What was known then has the same normal form in every later version.
 */
export function normalForm(text: string, form: NormalForm): string {
  tooNew ??= setNamed('rust_not_normalized')
  let out = ''
  let done = 0
  for (let at = 0; at < text.length;) {
    const point = text.codePointAt(at)!
    const end = at + (point > 0xffff ? 2 : 1)
    if (point >= 0x300 && tooNew.has(point)) {
      out += text.slice(done, at).normalize(form) + text.slice(at, end)
      done = end
    }
    at = end
  }
  return done === 0 ? text.normalize(form) : out + text.slice(done).normalize(form)
}
