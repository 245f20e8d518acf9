/** @file `lowrank predict`. */
import { predictOptionTable } from '../../predict/options.js'
import { checkColumns, columnOf } from '../../data/columns.js'
import { unlabelledColumns } from '../../data/labels.js'
import type { RowReading } from '../../data/row-reading.js'
import { rowsOf, type Row } from '../../data/rows.js'
import type { Adapter, AdapterSet, Model, Prediction } from '../../index.js'
import { checkSplit, headerOption, splitOptions } from '../../train/option-table.js'
import { defineCommand, type Output } from '../flags.js'
import { bar, count, counted, digits } from '../format.js'
import { headFlags } from '../head-flags.js'
import { onnxFlags } from '../onnx-flags.js'
import { flagsFrom, optionsFrom, type OptionsFrom } from '../option-flags.js'
import { predictionLine, predictionWriter, type PredictedRow } from '../prediction-files.js'
import { checkNoReading, library, openAdapter, openModel, readingOf, type SourceFlags } from '../sources.js'
import { linesAsRows } from '../stdin.js'
import { refuseInput } from '../not-an-input.js'
import { UsageError } from '../usage-error.js'
import { baseFlag } from './train-flags.js'

const { task, labels, 'num-labels': numLabels } = headFlags

export const predictCommand = defineCommand({
  name: 'predict',
  summary: 'Say the class, the number, the tags, the answer or the vector of each row.',
  description:
    'Rows are those of training without their labels; labels that they have are not read. They are kept as they are, and what the model says stands beside them under "prediction", so that a file can be compared. Without --data and --text each line of stdin is a text, also one that is empty. Rows of similar length share a batch and come out in their order; files of any size are read as they are needed.',
  flags: {
    model: { type: 'text', value: 'M', required: true, help: 'Model folder, .onnx file or hub id.' },
    ...baseFlag,
    adapter: {
      type: 'texts',
      value: 'DIR…',
      help: 'Adapter folder (PEFT) or hub id; of several the changes are added up. The bare model without it.',
    },
    data: {
      type: 'texts',
      value: 'FILE…',
      help: 'Rows: JSONL, JSON, CSV, TSV or Parquet, each also as .gz; a folder with a test or valid file; or hf:owner/name[:config][@split] from the hub. Labels are not needed.',
    },
    ...flagsFrom(headerOption),
    ...flagsFrom(splitOptions),
    text: { type: 'texts', value: 'T…', help: 'Texts in place of rows. One that begins with two hyphens is given as --text=T.' },
    out: {
      type: 'text',
      value: 'FILE',
      help: 'File for the rows and their predictions, .jsonl or .csv; written whole or not at all. Printed without it.',
    },
    overwrite: { type: 'switch', help: 'Replace --out if it is there already. Never a file of --data.' },
    ...flagsFrom(predictOptionTable),
    ...{ task, labels, 'num-labels': numLabels },
    output: { type: 'text', value: 'NAME', help: 'Output of an .onnx file that is read, where it has several.' },
    ...onnxFlags,
  },
  examples: [
    'lowrank predict --model bert-base --adapter out --text "the soup was cold"',
    'lowrank predict --model bert-base --adapter out --data new.jsonl --out predicted.csv',
  ],
  prints:
    'a line for each row, its own fields and `"prediction"`: `{"label":…,"score":…,"scores":[{"label":…,"score":…},…]}` of classes, `{"labels":[…],"scores":[…]}` of several labels, `{"value":…}` of regression, ' +
    '`{"words":[{"word":…,"label":…,"score":…,"start":…,"end":…},…],"entities":[{"entity":…,"score":…,"text":…,"start":…,"end":…},…]}` of tags, `{"answer":…,"score":…,"start":…,"end":…}` of questions, with `--top-k` also `"answers":[…]`, ' +
    '`{"embedding":[…]}` of texts, `{"similarity":…}` of pairs for embedding models. With `--out` one line, `{"out":…,"rows":…}`.',
  async run(values, { output }) {
    const { data, text, out, overwrite } = values
    const twice = values.adapter?.find((name, i, all) => all.indexOf(name) !== i)
    if (twice !== undefined) throw new UsageError(`--adapter names ${twice} twice.`)
    if (data?.includes('-')) throw new UsageError('--data - names no file. Leave --data out: each line of stdin is then a text.')
    if (out === '-') throw new UsageError('--out - names no file. Leave --out out: predictions are then printed.')
    if (data !== undefined && text !== undefined) throw new UsageError('--data and --text exclude each other.')
    if (data === undefined) {
      checkNoReading(values)
      for (const name of ['val-split', 'val-split-by'] as const)
        if (values[name] !== undefined) throw new UsageError(`--${name} is for rows of --data.`)
    }
    if (data === undefined && text === undefined && process.stdin.isTTY)
      throw new UsageError('lowrank predict needs rows: --data FILE, --text T, or lines of text on stdin.')
    const write = out === undefined ? undefined : predictionWriter(out, overwrite)
    const subject = await openSubjects(values, output)
    const { files } = modelOf(subject).environment
    const source: Rows =
      data !== undefined
        ? await openFiles(modelOf(subject), data, readingOf(values), { ...optionsFrom(splitOptions, values), seed: values.seed })
        : { rows: text === undefined ? linesAsRows(process.stdin) : rowsOfTexts(text), length: undefined }
    if (out !== undefined) await refuseInput(files, out, data ?? [])
    const { predictRows } = await import('../../predict/predict.js')
    const answers = predictRows(subject, source.rows, {
      ...optionsFrom(predictOptionTable, values),
      onWarning: (message) => {
        output.note(output.color.yellow(`warning: ${message}`))
      },
    })
    const watched = progress(answers, source.length, output)
    if (out === undefined || write === undefined) {
      for await (const answer of watched.rows)
        if (output.json) output.print(predictionLine(answer))
        else output.print(`${shown(answer.prediction, output)}\t${preview(answer.row)}`)
      return 0
    }
    await files.write(out, write(watched.rows))
    if (output.json) output.printJson({ out, rows: watched.count() })
    else output.print(`${counted(watched.count(), 'row')} → ${out}`)
    return 0
  },
})

const modelOf = (subject: Model | Adapter | AdapterSet): Model => ('environment' in subject ? subject : subject.model)

/** The model, an adapter on it, or several at once. */
async function openSubjects(
  flags: SourceFlags & { readonly adapter: readonly string[] | undefined },
  output: Output,
): Promise<Model | Adapter | AdapterSet> {
  const model = await openModel(flags, output)
  const [first, ...others] = flags.adapter ?? []
  if (first === undefined) return model
  const adapter = await openAdapter(model, first, output)
  if (others.length === 0) return adapter
  const { AdapterSet } = await library()
  const set = new AdapterSet(adapter.model)
  await set.add(first, adapter)
  for (const name of others) await set.add(name, await openAdapter(adapter.model, name, output))
  set.setAdapter([first, ...others])
  return set
}

interface Rows {
  readonly rows: AsyncIterable<Row>
  readonly length: number | undefined
}

/** The rows of files, as they are, once they have all columns that are to be read. */
async function openFiles(
  model: Model,
  data: readonly string[],
  { columns, header }: RowReading,
  split: OptionsFrom<typeof splitOptions> & { readonly seed: number },
): Promise<Rows> {
  checkSplit(split)
  const { openEvaluatedRows } = await import('../../train/open-dataset.js')
  const { valSplitBy } = split
  // The rows stay as they are, but are set aside by the column that the run read.
  const by = valSplitBy === undefined ? {} : { valSplitBy: columnOf(valSplitBy, columns) }
  const { sources } = await openEvaluatedRows(model, data, { ...split, ...by, header })
  const read = unlabelledColumns(columns)
  if (read !== undefined) await checkColumns(sources, read)
  return { rows: rowsOf(sources), length: sources.reduce((sum, source) => sum + source.length, 0) }
}

async function* rowsOfTexts(texts: readonly string[]): AsyncGenerator<Row> {
  let line = 0
  for (const text of texts) yield await Promise.resolve({ value: { text }, file: '--text', line: ++line })
}

/** How far the rows are, on a terminal. */
function progress(answers: AsyncIterable<PredictedRow<Prediction>>, total: number | undefined, output: Output) {
  let done = 0
  const rows = async function* (): AsyncGenerator<PredictedRow<Prediction>> {
    let told = Date.now()
    try {
      for await (const answer of answers) {
        yield answer
        done++
        if (Date.now() - told < 100) continue
        told = Date.now()
        output.status(
          total === undefined ? counted(done, 'row') : `${bar(done / total)} ${count(done)} of ${counted(total, 'row')}`,
        )
      }
    } finally {
      output.status(undefined)
    }
  }
  return { rows: rows(), count: () => done }
}

/** A prediction in a few words. */
function shown(prediction: Prediction, { color }: Output): string {
  if ('label' in prediction) return `${color.bold(prediction.label)}\t${digits(prediction.score, 4)}`
  if ('labels' in prediction) return prediction.labels.length === 0 ? '–' : color.bold(prediction.labels.join(', '))
  if ('value' in prediction) return [prediction.value].flat().map((value) => digits(value)).join(' ') // prettier-ignore
  if ('entities' in prediction)
    return prediction.entities.length === 0 ? '–' : prediction.entities.map(({ entity, text }) => `${entity} ${color.bold(text)}`).join(', ') // prettier-ignore
  if ('answer' in prediction) return `${color.bold(prediction.answer)}\t${digits(prediction.score, 4)}`
  if ('similarity' in prediction) return digits(prediction.similarity, 4)
  const { embedding } = prediction
  return `[${embedding.slice(0, 3).map((value) => digits(value, 3)).join(', ')}, … ${embedding.length}]` // prettier-ignore
}

const PREVIEW = 60

/** The beginning of a row's texts. */
function preview({ value }: Row): string {
  const text = Object.values(value)
    .filter((field) => typeof field === 'string')
    .join(' | ')
    .replace(/\s+/g, ' ')
  return text.length <= PREVIEW ? text : `${text.slice(0, PREVIEW - 1)}…`
}
