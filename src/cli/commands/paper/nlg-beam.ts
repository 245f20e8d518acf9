/** @file `lowrank paper nlg beam`. */
import { nodeFiles } from '../../../io/node-files.js'
import { nlgBeamTable, resolveNlgBeam, type NlgBeamOptions } from '../../../paper/nlg/beam-options.js'
import type { Device } from '../../../runtime/runtime.js'
import { defineCommand, defined } from '../../flags.js'
import { bar, count, counted } from '../../format.js'
import { checkOutputs } from '../../not-an-input.js'
import { flagsFrom, optionsFrom } from '../../option-flags.js'
import { library } from '../../sources.js'

export const paperNlgBeamCommand = defineCommand({
  name: 'paper nlg beam',
  summary: 'Let GPT-2 write a text for each row, as gpt2_beam.py of microsoft/LoRA does.',
  description:
    'The flags, defaults, search and file of gpt2_beam.py, token by token, whatever --batch_size is; the script itself must be run with --batch_size 1, for with more it takes the first token from the logits of other rows. A context that several rows have is continued once. Predictions stand in the order of the rows, where the script has an order of its own; lowrank paper nlg decode and gpt2_decode.py read them by their numbers.',
  without: ['seed'],
  flags: {
    ...flagsFrom(nlgBeamTable),
    overwrite: { type: 'switch', help: 'Replace the file of predictions if it is there already.' },
  },
  examples: [
    'lowrank paper nlg beam --data data/e2e/test.jsonl --init_checkpoint trained_models/GPT2_M/e2e/model.26290.pt --model_card gpt2.md --lora_dim 4 --lora_alpha 32 --seq_len 512 --eval_len 64 --beam 10 --length_penalty 0.8 --no_repeat_ngram_size 4 --repetition_penalty 1.0 --eos_token_id 628 --work_dir trained_models/GPT2_M/e2e --output_file predict.26290.b10p08r4.jsonl',
    'lowrank paper nlg beam --data test.jsonl --init_checkpoint model.1000.pt --base_checkpoint gpt2-medium --lora_dim 4 --lora_alpha 32 --work_dir out',
  ],
  prints: '`{"out":…,"rows":N,"contexts":N}`: the file, its rows, and how many different contexts they have.',
  async run(values, { output }) {
    const options: NlgBeamOptions = optionsFrom(nlgBeamTable, values)
    const { work_dir: folder, output_file: name, data } = resolveNlgBeam(options)
    await checkOutputs(nodeFiles(), [`${folder}/${name}`], [data], values.overwrite)
    const { nodeEnvironment } = await library()
    const { predictFile } = await import('../../../paper/nlg/beam.js')
    const environment = nodeEnvironment({ device: values.device as Device, ...defined({ threads: values.threads }) })
    const onProgress = (done: number, total: number): void =>
      output.status(`${bar(done / total)} ${count(done)} of ${counted(total, 'context')}`)
    const found = await predictFile(environment, { ...options, onProgress }).finally(() => output.status(undefined))
    if (output.json) output.printJson(found)
    else output.print(`${counted(found.rows, 'row')} of ${counted(found.contexts, 'context')} → ${found.out}`)
    return 0
  },
})
