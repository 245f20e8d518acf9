/** @file `lowrank eval`. */
import { evaluateOptionTable } from '../../train/evaluate-options.js'
import { columnsOption, maxLengthOption, splitOptions } from '../../train/option-table.js'
import { defineCommand } from '../flags.js'
import { count, digits, table } from '../format.js'
import { flagsFrom, optionsFrom } from '../option-flags.js'
import { library, openSubject } from '../sources.js'
import { baseFlag, objectiveFlags } from './train-flags.js'

export const evalCommand = defineCommand({
  name: 'eval',
  summary: 'Measure the loss and the metrics of the task on a data set.',
  description:
    'The loss is the mean over all tokens with a label, in nats (rows or images where the model has one label for each), weighted over batches; the batch size changes speed and memory, not the result.',
  flags: {
    model: { type: 'text', value: 'M', required: true, help: 'Model folder, .onnx file or hub id.' },
    ...baseFlag,
    adapter: { type: 'text', value: 'DIR', help: 'Adapter folder (PEFT) or hub id; the bare model without it.' },
    ...flagsFrom(evaluateOptionTable, {
      data: evaluateOptionTable.data,
      ...columnsOption,
      ...splitOptions,
      batchSize: evaluateOptionTable.batchSize,
      ...maxLengthOption,
    }),
    ...objectiveFlags,
  },
  examples: ['lowrank eval --model SmolLM2-135M --adapter out --data valid.jsonl'],
  prints:
    '`{"loss":…,"perplexity":…,"tokens":…}` of a language model; `tokens` counts those with a label. Of others the metrics of the task and the number of `examples`: ' +
    '`{"loss":…,"accuracy":…,"f1":…,"macroF1":…,"matthews":…,"examples":…}` of classes (`f1` of class 1 where there are two), `accuracy`, `f1` and `macroF1` of several labels, ' +
    '`pearson` and `spearman` of regression and scored pairs, `accuracy` and entity `precision`, `recall`, `f1` (or `macroF1`) of tokens, `exactMatch` and `f1` of answers, `rewardMargin`, `rewardChosen` and `rewardRejected` of preferences, `rewardAccuracy` of pairs, `kl` of kto.',
  async run(values, { output }) {
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
