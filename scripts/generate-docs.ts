/** @file `npm run docs`: writes the documents that are made from code. Tests fail while one of them is out of date. */
import { writeFileSync } from 'node:fs'
import { architecturesDocument } from './generate-architectures-doc.js'
import { generationDocument } from './generate-generation-doc.js'
import { opsDocument } from './generate-ops-doc.js'
import { paperDocument } from './generate-paper-doc.js'
import { presetsDocument } from './generate-presets-doc.js'
import { cliDocument } from './generate-cli-doc.js'
import { loraConfigDocument } from './generate-lora-config-doc.js'

const write = (name: string, text: string): void => writeFileSync(new URL(`../docs/${name}`, import.meta.url), text)

write('architectures.md', architecturesDocument())
write('ops.md', opsDocument())
write('generate.md', await generationDocument())
write('cli.md', await cliDocument())
write('paper.md', await paperDocument())
write('presets.md', await presetsDocument())
write('lora-config.md', await loraConfigDocument())
