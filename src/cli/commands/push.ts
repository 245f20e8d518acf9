/** @file `lowrank push`. */
import { printable } from '../../errors.js'
import type { Pushed } from '../../index.js'
import { defineCommand, defined, type Output } from '../flags.js'
import { bar, counted, megabytes, table } from '../format.js'
import { library } from '../sources.js'

/** What is sent, for people. */
function show({ repository, revision, kind, files, url, commit }: Pushed, pullRequest: boolean, output: Output): void {
  const { bold, dim, green } = output.color
  const bytes = files.reduce((sum, { size }) => sum + size, 0)
  const where = `${repository} (${pullRequest ? `a pull request at ${revision}` : revision})`
  output.print(`${commit === undefined ? bold('would push') : green('pushed')} ${kind} to ${where}`)
  const rows = files.map(({ path, size }) => [printable(path), megabytes(size)])
  for (const line of table(['file', 'size'], rows, [1])) output.print(`  ${line}`)
  output.print(`${counted(files.length, 'file')}, ${megabytes(bytes)}`)
  output.print(commit === undefined ? dim('nothing was sent') : printable(`${url} ${dim(`commit ${commit}`)}`))
}

export const pushCommand = defineCommand({
  name: 'push',
  summary: 'Publish an adapter or a model on the Hugging Face Hub.',
  description:
    'Sends what the folder of an adapter, a merged or an exported model consists of, in one commit: configuration, weights, README.md, licence, tokenizer and templates. Checkpoints, optimizer state, logs, event files and the report stay here unless --include asks for them. ' +
    'A repository or branch that is not there is made. A folder that a run is writing to, or that holds only checkpoints, is refused. A README.md on the hub that lowrank has not written stays. ' +
    'The access token is that of HF_TOKEN, else of hf auth login; it must be allowed to write. HF_ENDPOINT names another hub.',
  positionals: ['DIR', 'OWNER/NAME'],
  without: ['device', 'threads', 'seed'],
  flags: {
    private: { type: 'switch', help: 'Make the repository private; one that is there and public is refused.' },
    revision: { type: 'text', value: 'BRANCH', help: 'Branch, made if it is not there; main by default.' },
    pr: { type: 'switch', option: 'pullRequest', help: 'Open a pull request; the repository must be there.' },
    message: { type: 'text', value: 'TEXT', help: 'Title of the commit.' },
    include: {
      type: 'texts',
      value: 'PATTERN…',
      help: 'Files to send beside: report.html, runs/**. * and ? stand for what is in a name, ** for folders.',
    },
    exclude: { type: 'texts', value: 'PATTERN…', help: 'Files to leave out.' },
    'dry-run': { type: 'switch', help: 'Say what would be sent, and send nothing; needs no token.' },
  },
  examples: [
    'lowrank push out me/my-adapter --dry-run',
    'lowrank push out me/my-adapter --private',
    'lowrank push merged me/my-model --revision v2 --message "Two epochs more" --include report.html',
    'lowrank push out team/adapter --pr',
  ],
  prints:
    '`{"repository":…,"revision":…,"kind":"adapter","files":[{"path":…,"size":…},…],"url":…,"commit":…}`; sizes are in bytes, `kind` is `adapter` or `model`, `url` is the page of the repository or the pull request, and `commit` is absent with `--dry-run`.',
  async run(values, { output, positionals: [folder = '', repository = ''] }) {
    const { push } = await library()
    const { pr, 'dry-run': dryRun, private: isPrivate, revision, message, include, exclude } = values
    const pushed = await push(folder, repository, {
      pullRequest: pr,
      dryRun,
      ...defined({ private: isPrivate ? true : undefined, revision, message, include, exclude }),
      onWarning: (text) => output.note(output.color.yellow(`warning: ${text}`)),
      onProgress: ({ sent, size }) => output.status(`${repository} ${bar(sent / size)} ${megabytes(sent)} of ${megabytes(size)}`),
    }).finally(() => output.status(undefined))
    if (output.json) output.printJson(pushed)
    else show(pushed, pr, output)
    return 0
  },
})
