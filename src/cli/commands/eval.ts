/** @file `lowrank eval`. */
import { evaluateOptionTable } from '../../train/evaluate-options.js'
import { maxLengthOption, readingOptions, splitOptions } from '../../train/option-table.js'
import { writtenOptionTable } from '../../generate/generate-options.js'
import { nodeFiles } from '../../io/node-files.js'
import { checkMetrics } from '../../metrics/score.js'
import { defineCommand, defined, type commonFlags, type Output, type Values } from '../flags.js'
import type { Flags } from '../flag.js'
import { bar, count, counted, digits, table } from '../format.js'
import { openMeteorData, writtenMeteorFlags } from '../meteor-flags.js'
import { metricFlags, metricList, textOptionsOf } from '../metric-flags.js'
import { flagsFrom, optionsFrom } from '../option-flags.js'
import { checkSegmentFile, tellScores } from '../score-view.js'
import { library, openSubject } from '../sources.js'
import { UsageError } from '../usage-error.js'
import { baseFlag, objectiveFlags } from './train-flags.js'

/** Of the rows, whatever is measured. */
const rowFlags = {
  model: { type: 'text', value: 'M', required: true, help: 'Model folder, .onnx file or hub id.' },
  ...baseFlag,
  adapter: { type: 'text', value: 'DIR', help: 'Adapter folder (PEFT) or hub id; the bare model without it.' },
  ...flagsFrom(evaluateOptionTable, {
    data: evaluateOptionTable.data,
    ...readingOptions,
    ...splitOptions,
    batchSize: evaluateOptionTable.batchSize,
  }),
} as const satisfies Flags

/** Of the loss. */
const lossFlags = { ...flagsFrom(maxLengthOption), ...objectiveFlags } as const satisfies Flags

/** Of texts that are written and compared. */
const textFlags = { ...flagsFrom(writtenOptionTable), ...metricFlags, ...writtenMeteorFlags } as const satisfies Flags

/** Flags that were given, of those that the other kind of evaluation has. */
const strangers = (flags: Flags, given: ReadonlySet<string>): string[] => Object.keys(flags).filter((name) => given.has(name))

export const evalCommand = defineCommand({
  name: 'eval',
  summary: 'Measure the loss and the metrics of the task on a data set.',
  description:
    'The loss is the mean over all tokens with a label, in nats (rows or images where the model has one label for each), weighted over batches; the batch size changes speed and memory, not the result (but for kto and the contrastive loss, which are about a batch). With --metrics a language model continues the prompts of the rows, greedily unless flags of generation say otherwise, and what it writes is compared with their completions or last turns as docs/metrics.md says; rows of one prompt are one segment with several references.',
  flags: {
    ...rowFlags,
    ...lossFlags,
    metrics: {
      type: 'names',
      value: 'A,B',
      help: `Write a text for each prompt in place of the loss, and compare it: ${metricList}.`,
    },
    ...textFlags,
  },
  examples: [
    'lowrank eval --model SmolLM2-135M --adapter out --data valid.jsonl',
    'lowrank eval --model SmolLM2-135M --adapter out --data test.jsonl --metrics bleu,rouge-l,chrf++ --max-new-tokens 64',
  ],
  prints:
    '`{"loss":…,"perplexity":…,"tokens":…}` of a language model; `tokens` counts those with a label. Of others the metrics of the task and the number of `examples`: ' +
    '`{"loss":…,"accuracy":…,"f1":…,"macroF1":…,"matthews":…,"examples":…}` of classes (`f1` of class 1 where there are two), `accuracy`, `f1` and `macroF1` of several labels, ' +
    '`pearson` and `spearman` of regression and scored pairs, `accuracy` and entity `precision`, `recall`, `f1` (or `macroF1`) of tokens, `exactMatch` and `f1` of answers, `rewardMargin`, `rewardChosen` and `rewardRejected` of preferences, `rewardAccuracy` of pairs, `kl` of kto. With `--metrics` as `lowrank score`: `{"segments":N,"scores":{…}}`.',
  async run(values, { output, given }) {
    if (values.metrics !== undefined) return evaluateTexts(values, values.metrics, given, output)
    const [text] = strangers(textFlags, given)
    if (text !== undefined) throw new UsageError(`--${text} is for texts that are compared by --metrics.`)
    const { evaluate } = await library()
    const subject = await openSubject(values, output)
    const result = await evaluate(subject, {
      ...optionsFrom(evaluateOptionTable, values),
      onWarning: (message) => {
        output.note(output.color.yellow(`warning: ${message}`))
      },
    })
    if (output.json) output.printJson(result)
    else {
      const metrics = Object.entries(result) as [string, number][]
      const whole = new Set(['tokens', 'examples'])
      const shown = metrics.map(([name, value]) => (whole.has(name) ? count(value) : digits(value)))
      for (const line of table(
        metrics.map(([name]) => name),
        [shown],
        metrics.map((_, i) => i),
      ))
        output.print(line)
    }
    return 0
  },
})

/** Writes a text for each prompt, and compares it. */
async function evaluateTexts(
  values: Values<typeof rowFlags & typeof textFlags & typeof commonFlags>,
  metrics: readonly string[],
  given: ReadonlySet<string>,
  output: Output,
): Promise<number> {
  const [loss] = strangers(lossFlags, given)
  if (loss !== undefined) throw new UsageError(`--${loss} is for the loss, which is not measured with --metrics.`)
  const compared = textOptionsOf(values)
  checkMetrics(metrics, compared)
  const { evaluateTexts: evaluate } = await library()
  const files = nodeFiles()
  await checkSegmentFile(files, values, () => Promise.resolve(values.data))
  const meteor = await openMeteorData(files, values, metrics)
  const subject = await openSubject(values, output)
  const flagsGiven = Object.fromEntries(Object.entries(values).filter(([name]) => given.has(name)))
  const { data, columns, header, valSplit, valSplitBy, batchSize } = optionsFrom(evaluateOptionTable, values)
  try {
    const result = await evaluate(subject, {
      data,
      ...defined({ columns, header, valSplit, valSplitBy, batchSize }),
      // Defaults are the library's: some options may stand only beside others.
      ...optionsFrom(writtenOptionTable, flagsGiven),
      ...compared,
      ...meteor.options,
      metrics,
      onProgress: (done, total) => {
        output.status(done === total ? undefined : `${bar(done / total)} ${count(done)} of ${counted(total, 'prompt')}`)
      },
    })
    await tellScores(result, files, values['per-segment'], output)
  } finally {
    output.status(undefined)
  }
  return 0
}
