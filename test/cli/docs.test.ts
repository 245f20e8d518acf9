import { resolve } from 'node:path'
import { expect, it } from 'vitest'
import { cliDocument } from '../../scripts/generate-cli-doc.js'

it('docs/cli.md is what the tables of flags say (update it with npm run docs)', async () => {
  await expect(await cliDocument()).toMatchFileSnapshot(resolve(import.meta.dirname, '../../docs/cli.md'))
})
