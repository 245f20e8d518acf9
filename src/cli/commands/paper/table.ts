/** @file `lowrank paper table`. */
import { nodeFiles } from '../../../io/node-files.js'
import { compareWithPaper } from '../../../paper/table/compare.js'
import { findRecords, recordFiles } from '../../../paper/table/find-records.js'
import { comparedHtml, comparedMarkdown } from '../../../paper/table/page.js'
import { defineCommand } from '../../flags.js'
import { checkOutputs } from '../../not-an-input.js'
import { UsageError } from '../../usage-error.js'

export const paperTableCommand = defineCommand({
  name: 'paper table',
  summary: "Show runs of the paper's experiments beside what was published.",
  description:
    'Looks for paper.json in the folders and all below them. Each table has the rows of the paper, what others report who ran the original scripts, every seed, and the mean with its deviation. A number that was not run is a dash.',
  positionals: ['RUNS…'],
  without: ['device', 'threads', 'seed'],
  flags: {
    html: { type: 'text', value: 'FILE', help: 'Write a page instead of printing Markdown.' },
    title: { type: 'text', value: 'TEXT', default: 'LoRA: the paper and these runs', help: 'Heading of the page.' },
    overwrite: { type: 'switch', help: 'Replace the file --html if it is there already.' },
  },
  examples: ['lowrank paper table runs/', 'lowrank paper table runs/e2e runs/glue --html table.html'],
  prints:
    '`{"tables":[{"title","columns":[…],"rows":[{"kind":"paper|others|run|mean","name","parameters","cells":{column:text}}],"notes":[…]}]}`; with --html `{"out":…}`.',
  async run({ html, title, overwrite }, { output, positionals, given }) {
    if (html === undefined && (overwrite || given.has('title')))
      throw new UsageError('--title and --overwrite are for the page of --html.')
    const files = nodeFiles()
    const tables = compareWithPaper(await findRecords(files, positionals))
    if (html !== undefined) {
      const read = await Promise.all(positionals.map((folder) => recordFiles(files, folder)))
      await checkOutputs(files, [html], read.flat(), overwrite)
      await files.write(html, comparedHtml(tables, title))
      if (output.json) output.printJson({ out: html })
      else output.print(`tables in ${html}`)
    } else if (output.json) output.printJson({ tables })
    else output.print(comparedMarkdown(tables).trimEnd())
    return 0
  },
})
