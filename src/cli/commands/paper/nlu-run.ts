/** @file `lowrank paper nlu run`. */
import { nluOverrideTable } from '../../../paper/nlu/overrides.js'
import { nluPresets } from '../../../paper/nlu/presets.js'
import type { NluEvent } from '../../../paper/nlu/run.js'
import { nluSettings, type NluSettings } from '../../../paper/nlu/settings.js'
import { glueTasks } from '../../../paper/nlu/tasks.js'
import { commandLine } from '../../command-line.js'
import { defineCommand, defined, type Output } from '../../flags.js'
import { counted, digits } from '../../format.js'
import { exitCodeOf, LAST_STEP } from '../../interruption.js'
import { flagsFrom, optionsFrom } from '../../option-flags.js'
import { openModel } from '../../sources.js'
import { startText } from '../../start-text.js'
import { TrainingView } from '../../training-view.js'
import { baseFlag } from '../train-flags.js'

export const paperNluRunCommand = defineCommand({
  name: 'paper nlu run',
  summary: 'Train and measure on a task of GLUE as run_glue.py of microsoft/LoRA does.',
  description:
    "One preset for each script of examples/NLU. The base gets a fresh head, which is trained with the adapter; the best evaluation on the task's dev rows is kept and measured (MNLI: matched and mismatched), and paper.json in --out holds what lowrank paper table shows. " +
    "The processes of a script become micro-batches of one update. Optimizer, rates, dropout, warm-up and decay are the original's; the random numbers, and with them the order of rows, are not, and DeBERTa runs in float32. " +
    'MRPC, RTE and STS-B begin with the adapter of MNLI: --lora-path, or --from-scratch. Ctrl-C ends the run after its step with a checkpoint; the same command with --resume continues.',
  lastWork: LAST_STEP,
  flags: {
    preset: {
      type: 'text',
      choices: [...nluPresets.keys()],
      required: true,
      help: 'Script whose settings the run has; flags go before them.',
    },
    data: {
      type: 'text',
      value: 'DIR',
      required: true,
      help: "GLUE's folder, the task's own (TSV as distributed, JSONL, CSV, Parquet), or hf:nyu-mll/glue.",
    },
    out: { type: 'text', value: 'DIR', required: true, help: 'Folder for the adapter, its log and paper.json.' },
    model: { type: 'text', value: 'M', help: "Model folder or hub id of the base; the preset's by default." },
    'lora-path': {
      type: 'text',
      value: 'PATH',
      help: 'Adapter of MNLI to begin with: a PEFT folder or a file of any format (--lora_path).',
    },
    'from-scratch': { type: 'switch', help: 'Begin without the adapter of MNLI, with which the preset begins.' },
    ...flagsFrom(nluOverrideTable),
    'max-train-samples': { type: 'integer', value: 'N', min: 1, help: 'Only the first N rows are trained on.' },
    'max-val-samples': { type: 'integer', value: 'N', min: 1, help: 'Only the first N rows of each dev file are measured.' },
    predict: { type: 'switch', help: 'Predict the test rows into test_results_TASK.txt in --out (--do_predict).' },
    resume: { type: 'switch', help: 'Continue from the newest checkpoint in --out.' },
    overwrite: {
      type: 'switch',
      help: 'Write into --out although it holds a finished adapter or checkpoints, which are removed.',
    },
    ...baseFlag,
  },
  examples: [
    'lowrank paper nlu run --preset roberta-base-mnli --model roberta-base --data glue --out runs/mnli-0',
    'lowrank paper nlu run --preset roberta-base-mrpc --model roberta-base --data glue --lora-path runs/mnli-0 --seed 1 --out runs/mrpc-1',
    'lowrank paper nlu run --preset roberta-base-cola --model tiny --data glue --method bitfit --epochs 3 --batch-size 16 --grad-accum 1 --out runs/cola-bitfit',
  ],
  prints:
    '`{"event":"rows","file","rows","incomplete"}` for each file, `{"event":"started","from","taken":[…],"fresh":[…]}` with --lora-path, the events of `lowrank train`, then `{"event":"scores","split","scores":{metric:number}}` for each dev file and `{"event":"predictions","file","rows"}` for each test file.',
  async run(values, { output, given, args, interrupted }) {
    const asked = Object.fromEntries(Object.entries(values).filter(([name]) => given.has(name)))
    const settings = nluSettings(values.preset, optionsFrom(nluOverrideTable, asked))
    const { runNlu } = await import('../../../paper/nlu/run.js')
    const model = await openModel(
      { ...values, model: values.model ?? settings.model, task: undefined, labels: undefined },
      output,
    )
    if (!output.json) output.note(settingsText(settings))
    const view = new TrainingView(output, () => performance.now(), glueTasks[settings.task].best)
    let aborted = false
    try {
      const events = runNlu(model, settings, {
        ...{ data: values.data, out: values.out, command: commandLine(args), signal: interrupted },
        ...defined({ loraPath: values['lora-path'], maxTrainSamples: values['max-train-samples'] }),
        ...defined({ maxValSamples: values['max-val-samples'] }),
        ...{ fromScratch: values['from-scratch'], predict: values.predict, resume: values.resume, overwrite: values.overwrite },
      })
      for await (const event of events) {
        if (event.event === 'done') aborted = event.reason === 'aborted'
        if (output.json) output.printJson(event)
        else show(event, view, output)
      }
    } finally {
      view.close()
    }
    return aborted ? exitCodeOf(interrupted) : 0
  },
})

/** What a run does with the batches of the script's processes. */
const settingsText = ({ preset, batchSize, gradAccum, seed }: NluSettings): string =>
  `${preset}, seed ${seed}: ${counted(batchSize * gradAccum, 'row')} in an update, ${gradAccum === 1 ? 'one batch' : `${gradAccum} micro-batches`} of ${batchSize}`

function show(event: NluEvent, view: TrainingView, output: Output): void {
  switch (event.event) {
    case 'rows':
      return output.note(
        `${event.file}: ${counted(event.rows, 'row')}${event.incomplete === 0 ? '' : `, and ${counted(event.incomplete, 'line')} without all columns, left out`}`,
      )
    case 'started':
      return output.note(startText(event.from, event))
    case 'scores': {
      const scores = Object.entries(event.scores).map(([name, value]) => `${name} ${digits(value)}`)
      return output.print(`${event.split}: ${scores.join(', ')}`)
    }
    case 'predictions':
      return output.print(`${event.file}: ${counted(event.rows, 'prediction')}`)
    default:
      return view.show(event)
  }
}
