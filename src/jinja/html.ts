/** @file Escaping of HTML as `markupsafe` does it. */
import type { Meter } from './limits.js'

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', "'": '&#39;', '"': '&#34;' }

export function escapeHtml(text: string, meter: Meter): string {
  meter.read(text.length)
  const escaped = text.replace(/[&<>'"]/g, (character) => ENTITIES[character] ?? character)
  meter.write(escaped.length - text.length)
  return escaped
}
