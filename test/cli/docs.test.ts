import { resolve } from 'node:path'
import { format } from 'prettier'
import { expect, it } from 'vitest'
import { commands } from '../../src/cli/app.js'
import { documentation } from '../../src/cli/help.js'

it('docs/cli.md is what the tables of flags say (update it with -u)', async () => {
  const text = await format(documentation(commands), { parser: 'markdown', printWidth: 130 })
  await expect(text).toMatchFileSnapshot(resolve(import.meta.dirname, '../../docs/cli.md'))
})
