/** @file Escaping of HTML as `markupsafe` does it. */

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', "'": '&#39;', '"': '&#34;' }

export const escapeHtml = (text: string): string => text.replace(/[&<>'"]/g, (character) => ENTITIES[character] ?? character)
