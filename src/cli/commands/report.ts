/** @file `lowrank report`. */
import { join } from 'node:path'
import { InvalidOptionError } from '../../errors.js'
import { nodeFiles } from '../../io/node-files.js'
import { LOG_FILE } from '../../train/log.js'
import { isReport } from '../../train/report-file.js'
import { RUN_FILE } from '../../train/run-file.js'
import { defineCommand } from '../flags.js'
import { refuseInput } from '../not-an-input.js'
import { library } from '../sources.js'

export const reportCommand = defineCommand({
  name: 'report',
  summary: 'Show training runs, beside each other, as one HTML file.',
  description:
    'Of one run its curves, texts, evaluations, settings and command, as in its report.html; of several the curves in the same charts, and the settings that differ first. A run that is under way or was killed is shown as far as it went. The page needs no network.',
  positionals: ['RUN…'],
  without: ['device', 'threads', 'seed'],
  flags: {
    out: { type: 'text', value: 'FILE', default: 'report.html', help: 'File to write.' },
    title: { type: 'text', value: 'TEXT', help: 'Heading of the page; the names of the runs by default.' },
    overwrite: { type: 'switch', help: 'Replace a file that is there and is no report.' },
  },
  examples: ['lowrank report out/first out/second --out compared.html'],
  prints: '`{"out":…,"runs":[…]}`.',
  async run({ out, title, overwrite }, { output, positionals }) {
    const { report } = await library()
    const files = nodeFiles()
    await refuseInput(
      files,
      out,
      positionals.flatMap((run) => [LOG_FILE, RUN_FILE].map((name) => join(run, name))),
      'a file that is read',
    )
    if (!overwrite && (await files.exists(out)) && !((await files.isDirectory(out)) || isReport(await files.readText(out))))
      throw new InvalidOptionError(
        `"${out}" is there already and is no report of lowrank; choose another name, or give --overwrite`,
      )
    await report(positionals, { out, ...(title !== undefined && { title }) })
    if (output.json) output.printJson({ out, runs: positionals })
    else output.print(`report in ${out}`)
    return 0
  },
})
