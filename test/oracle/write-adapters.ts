/** @file Writes every adapter and `cases.json` for load-adapters.py: `npx tsx test/oracle/write-adapters.ts <folder>`. */
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { adapterCases, baseFolder, inputs, writeAdapter } from './adapters.js'

const folder = process.argv[2]
if (folder === undefined) throw new Error('usage: tsx test/oracle/write-adapters.ts <folder>')
for (const adapterCase of adapterCases) await writeAdapter(adapterCase, join(folder, adapterCase.name))
const cases = adapterCases.map((c) => ({ name: c.name, base: resolve(baseFolder(c)) }))
writeFileSync(join(folder, 'cases.json'), JSON.stringify({ inputs, cases }, null, 1))
