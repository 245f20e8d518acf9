/** @file `lowrank init`. */
import { FileError } from '../../errors.js'
import { nodeFiles } from '../../io/node-files.js'
import { configTemplate, templateFlags } from '../config-template.js'
import { commonFlags, defineCommand } from '../flags.js'
import { trainFlags } from './train-flags.js'

const FILE = 'lowrank.yaml'

export const initCommand = defineCommand({
  name: 'init',
  summary: 'Write a config file for lowrank train, with every option explained.',
  description:
    `Writes FILE, or ${FILE}: every option of lowrank train in groups, with its help above it. Those that are usually changed have their defaults as values, the others are comments. ` +
    'lowrank train --config takes the file as it is. Flags given here are its values; a file that is there is never replaced without --overwrite.',
  positionals: ['[FILE]'],
  flags: {
    ...templateFlags,
    overwrite: { type: 'switch', help: 'Replace a file that is there.' },
  },
  examples: [
    'lowrank init --model SmolLM2-135M --data train.jsonl --out out',
    'lowrank init classify.yaml --model bert-base-uncased --data reviews.csv --task sequence-classification',
    'lowrank train --config lowrank.yaml',
  ],
  prints: '`{"out":…}`, the file.',
  async run(values, { output, positionals: [path = FILE], given }) {
    const files = nodeFiles()
    if (!values.overwrite && (await files.exists(path)))
      throw new FileError(`"${path}" is there already; give another name, or --overwrite to replace it.`)
    const known = { ...trainFlags, ...commonFlags }
    const said = Object.entries(values).filter(([name]) => name !== 'overwrite' && given.has(name) && Object.hasOwn(known, name))
    await files.write(path, configTemplate(Object.fromEntries(said)))
    if (output.json) output.printJson({ out: path })
    else output.print(`options in ${path}; begin with: lowrank train --config ${path}`)
    return 0
  },
})
