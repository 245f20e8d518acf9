/** @file docs/lora-config.md is what the tables of LoRA options say, with every field of PEFT once. */
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { loraConfigDocument } from '../scripts/generate-lora-config-doc.js'

const { fields } = JSON.parse(readFileSync('test/fixtures/lora-config-fields.json', 'utf8')) as { fields: string[] }

it('docs/lora-config.md is up to date, and has every field of PEFT once', async () => {
  const text = await loraConfigDocument()
  // On failure run: npm run docs
  expect(readFileSync('docs/lora-config.md', 'utf8')).toBe(text)
  expect([...text.matchAll(/^\| `(\w+)`/gm)].map((match) => match[1])).toEqual([...fields].sort())
})
