/** @file docs/cli.md from the tables of flags. */
import { format } from 'prettier'
import { commands } from '../src/cli/app.js'
import { documentation } from '../src/cli/help.js'

export const cliDocument = (): Promise<string> => format(documentation(commands), { parser: 'markdown', printWidth: 130 })
