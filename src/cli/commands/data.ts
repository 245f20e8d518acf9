/** @file `lowrank data`. */
import { InvalidOptionError } from '../../errors.js'
import { dataInspectionTable } from '../../inspect-data/options.js'
import type { DataInspectionOptions, HeadOptions } from '../../index.js'
import { defineCommand, defined } from '../flags.js'
import { count } from '../format.js'
import { headFlags, labelsOfDataFlag } from '../head-flags.js'
import { lossOutputFlag, onnxFlags } from '../onnx-flags.js'
import { flagsFrom, optionsFrom } from '../option-flags.js'
import { showDataInspection } from '../data-view.js'
import { nodeFiles } from '../../io/node-files.js'
import { refuseInput } from '../not-an-input.js'
import { hubOptions, isAuto, library, readingOf, taskOf } from '../sources.js'
import { UsageError } from '../usage-error.js'

export const dataCommand = defineCommand({
  name: 'data',
  summary: 'Show what a run would learn from rows, token by token, and what is wrong with them.',
  description:
    'Reads every row as train does, with the same tokenizer, chat template, labels and checks, and shows the first ones: what is learned in green between brackets, special tokens by their names, white space as signs. ' +
    'Then lengths, what --max-length cuts, duplicates, the same input with different answers, empty answers, the balance of labels, what a pass costs, and rows of --eval-data that are trained on too. ' +
    'Every bad row is listed with its file and line; the exit code is 1 if there is one. No weight is read: config.json and the tokenizer are enough, or a tokenizer alone.',
  positionals: ['FILE…'],
  without: ['device', 'threads'],
  flags: {
    model: {
      group: 'source',
      type: 'text',
      value: 'M',
      required: true,
      help: 'Model folder, folder of a tokenizer, .onnx file or hub id.',
    },
    ...flagsFrom(dataInspectionTable),
    ...headFlags,
    ...labelsOfDataFlag,
    ...lossOutputFlag,
    ...onnxFlags,
    html: {
      group: 'command',
      type: 'text',
      value: 'FILE',
      help: 'Write the same into one HTML page too, which needs no network.',
    },
    overwrite: { group: 'command', type: 'switch', help: 'Replace the file --html. Never a file of rows.' },
  },
  examples: [
    'lowrank data train.jsonl --model SmolLM2-135M',
    'lowrank data train.jsonl --model SmolLM2-135M --rows 20 --html data.html',
    'lowrank data train.jsonl --model SmolLM2-135M --max-length 512 --batch-size 16 --eval-data valid.jsonl --json',
  ],
  prints:
    'one object with `objective`, `maxLength`, `batchSize`, `gradAccum`; `data`: `files`, `rows`, `usable`, `bad` (every bad row: `file`, `line`, `message`), `problems`, `skipped`, `tokens`, `learnedTokens`, `lengths` (`shortest`, `mean`, `percentiles`, `longest`, `histogram` of `from`, `to`, `rows`), `truncated` (`rows`, `tokens`, `learnedTokens`), `duplicates`, `sameInput`, `emptyAnswers` (`rows` and the `first` 20 places each), `labels` (`label`, `count`), `warnings`, ' +
    '`shown` (rows as `sequences` of `ids`, `labels`, `tokens`, `special`, `learned` stretches, `tags`; `label`); `epoch`, `secondEpoch` and `batching` (`batches`, `steps`, `tokens`, `positions`, `padding`); and with rows to evaluate on `evalData`, as `data` with `alsoTrainedOn` (`rows`, `inputs`, `first`).',
  async run(values, { output, positionals }) {
    const { html } = values
    if (html === undefined && values.overwrite) throw new UsageError('--overwrite is for the page of --html.')
    if (html !== undefined) {
      await refuseInput(nodeFiles(), html, [...positionals, ...(values['eval-data'] ?? [])])
      if (!values.overwrite && (await nodeFiles().exists(html)))
        throw new InvalidOptionError(`"${html}" is there already. Choose another file, or replace it with --overwrite.`)
    }
    const { collectLabels, inspectData } = await library()
    const { 'num-labels': numLabels, 'new-head': newHead, output: read, constants, dims } = values
    const head: Partial<HeadOptions> = defined({
      task: taskOf(values),
      labels: isAuto(values) ? undefined : values.labels,
      numLabels,
      newHead: newHead ? true : undefined,
    })
    const collected = isAuto(values)
      ? await collectLabels(positionals, { ...defined({ task: head.task }), ...readingOf(values) })
      : {}
    const options: DataInspectionOptions = optionsFrom(dataInspectionTable, values)
    const found = await inspectData(values.model, positionals, {
      ...options,
      ...collected,
      ...head,
      ...hubOptions(output),
      ...defined({ output: read, constants, dims }),
      onChecking: ({ rows, of }) => output.status(`reading rows: ${count(rows)} of ${count(of)}`),
    }).finally(() => output.status(undefined))
    if (html !== undefined) {
      const { renderDataPage } = await import('../../report/data-page.js')
      await nodeFiles().write(html, renderDataPage(found))
    }
    if (output.json) output.printJson(found)
    else showDataInspection(found, output)
    const parts = found.evalData === undefined ? [found.data] : [found.data, found.evalData]
    return parts.every(({ bad, problems }) => bad.length === 0 && problems.length === 0) ? 0 : 1
  },
})
