/** @file `lowrank paper nlg train`. */
import { describeRun, descriptionOf } from '../../../paper/nlg/run-description.js'
import { linesOf } from '../../../paper/nlg/training-events.js'
import {
  nlgTrainingPresets,
  nlgTrainingTable,
  resolveNlgTraining,
  refusedFlags,
  withNlgTrainingPreset,
  type NlgTrainingOptions,
  type NlgTrainingPreset,
} from '../../../paper/nlg/training-options.js'
import type { Device } from '../../../runtime/runtime.js'
import type { Flag } from '../../flag.js'
import { defineCommand, defined } from '../../flags.js'
import { counted } from '../../format.js'
import { exitCodeOf, LAST_STEP } from '../../interruption.js'
import { flagsFrom, optionsFrom } from '../../option-flags.js'
import { library } from '../../sources.js'
import { UsageError } from '../../usage-error.js'

const refused = Object.fromEntries(
  Object.entries(refusedFlags).map(([name, reason]) => [
    name,
    { type: name === 'fp16' ? 'switch' : 'text', help: `Refused: ${reason}.` } satisfies Flag,
  ]),
)

export const paperNlgTrainCommand = defineCommand({
  name: 'paper nlg train',
  summary: 'Train GPT-2 as gpt2_ft.py of microsoft/LoRA does.',
  description:
    "The flags, defaults and files of gpt2_ft.py: LoRA on queries and values (--lora_dim), or the whole model, on rows that gpt2_encode.py or lowrank paper nlg prepare has written. Loss, optimizer, rates and the order of the rows are the original's, step by step; dropout and the first values of LoRA draw from other random numbers. Files are those that gpt2_beam.py and lowrank paper nlg beam read. --work_dir is refused if checkpoints lie there, unless --overwrite says that they may go. Ctrl-C ends the run after its step and saves what was learned.",
  without: ['seed'],
  lastWork: LAST_STEP,
  flags: {
    preset: {
      type: 'text',
      choices: Object.keys(nlgTrainingPresets),
      help: "Settings of a row of the paper's tables (README and table 11); flags go before them.",
    },
    ...flagsFrom(nlgTrainingTable),
    ...refused,
  },
  examples: [
    'lowrank paper nlg train --preset e2e-gpt2-medium-lora --train_data data/e2e/train.jsonl --valid_data data/e2e/valid.jsonl --init_checkpoint pretrained_checkpoints/gpt2-medium-pytorch_model.bin --work_dir trained_models/GPT2_M/e2e',
    'lowrank paper nlg train --train_data train.jsonl --valid_data valid.jsonl --model_card tiny/config.json --init_checkpoint tiny/pytorch_model.bin --lora_dim 4 --lora_alpha 32 --lr 0.0002 --correct_bias --max_epoch 5 --work_dir out',
  ],
  prints:
    'Without --json the lines of gpt2_ft.py. With it `{"event":"start","maxStep","rows","rowsWithoutLabel","trainableParameters","totalParameters"}`, `{"event":"epoch","epoch"}`, `{"event":"step","step","epoch","loss","learningRate"}` for each micro-batch, `{"event":"log","epoch","step","batches","learningRate","msPerBatch","loss","averageLoss","perplexity"}`, `{"event":"checkpoint","step","path","holds":"lora|model"}`, `{"event":"evalBatch","index","loss"}`, `{"event":"eval","number","step","seconds","loss","perplexity","bestPerplexity"}` and `{"event":"done","reason":"finished|aborted","steps","seconds"}`.',
  async run(values, { output, given, interrupted }) {
    for (const [name, reason] of Object.entries(refusedFlags))
      if (given.has(name)) throw new UsageError(`--${name} is refused: ${reason}. Leave it out.`)
    const asked = Object.fromEntries(Object.entries(values).filter(([name]) => given.has(name)))
    const preset = values.preset as NlgTrainingPreset | undefined
    const options = withNlgTrainingPreset(preset, optionsFrom(nlgTrainingTable, asked))
    const { nodeEnvironment } = await library()
    const { trainNlg } = await import('../../../paper/nlg/train.js')
    const environment = nodeEnvironment({ device: values.device as Device, ...defined({ threads: values.threads }) })
    const resolved = resolveNlgTraining(options as NlgTrainingOptions)
    let aborted = false
    for await (const event of trainNlg(environment, { ...(options as NlgTrainingOptions), signal: interrupted })) {
      if (event.event === 'start') {
        const { trainableParameters, rowsWithoutLabel } = event
        await describeRun(environment.files, resolved.work_dir, descriptionOf(preset, resolved, trainableParameters))
        if (rowsWithoutLabel > 0 && !output.json)
          output.note(
            `${counted(rowsWithoutLabel, 'row')} of ${resolved.train_data} ${rowsWithoutLabel === 1 ? 'ends' : 'end'} before the completion begins: nothing is learned of ${rowsWithoutLabel === 1 ? 'it' : 'them'}; raise --seq_len (${resolved.seq_len})`,
          )
      }
      if (output.json) output.printJson(event)
      else for (const line of linesOf(event)) output.print(line)
      if (event.event === 'done') aborted = event.reason === 'aborted'
    }
    return aborted ? exitCodeOf(interrupted) : 0
  },
})
