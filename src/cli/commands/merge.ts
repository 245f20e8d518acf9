/** @file `lowrank merge`. */
import { defineCommand, defined } from '../flags.js'
import { count, digits } from '../format.js'
import { combinationFlags, combined } from '../combination.js'
import { headFlags } from '../head-flags.js'
import { library, openAdapter, openModel } from '../sources.js'
import { onnxFlags } from '../onnx-flags.js'
import { noteNotMerged } from '../not-merged.js'

export const mergeCommand = defineCommand({
  name: 'merge',
  summary: 'Write a model with an adapter merged into its weights.',
  description:
    'The merged model costs nothing extra to run. Shards, names and element types are those of the source, unless it is written as ONNX; W + s·B·A is computed in float32. The source is never changed, and merging into its folder is refused.',
  flags: {
    model: { type: 'text', value: 'M', required: true, help: 'Model folder, .onnx file or hub id.' },
    ...onnxFlags,
    ...headFlags,
    adapter: { type: 'texts', value: 'DIR…', required: true, help: 'Adapter folder (PEFT) or hub id. Several are added up.' },
    ...combinationFlags,
    out: {
      type: 'text',
      value: 'DIR',
      required: true,
      help: 'Folder to write the merged model to; of an .onnx file also a name that ends in .onnx.',
    },
    overwrite: {
      type: 'switch',
      help: 'Replace the model that an earlier merge or export wrote to --out; also an .onnx file of that name, with its data.',
    },
    format: {
      type: 'text',
      choices: ['safetensors', 'onnx'],
      help: 'What to write; onnx as lowrank export does. A folder is written as safetensors by default, an .onnx file always as one.',
    },
  },
  examples: [
    'lowrank merge --model SmolLM2-135M --adapter out --out merged',
    'lowrank merge --model SmolLM2-135M --adapter poet --adapter lawyer --weights 0.7,0.3 --combination ties --density 0.5 --out merged',
  ],
  prints:
    '`{"out":…,"mergedModules":N,"maxAbsDelta":…}`; `maxAbsDelta` is the largest change of a weight; `notMerged` lists modules that the written model lacks, if any.',
  async run(values, { output }) {
    const { merge } = await library()
    const model = await openModel(values, output)
    const adapters = []
    for (const path of values.adapter) adapters.push(await openAdapter(model, path, output))
    const result = await merge(await combined(adapters, values)).save(
      values.out,
      defined({ format: values.format as 'safetensors' | 'onnx' | undefined, overwrite: values.overwrite }),
    )
    noteNotMerged(result, output)
    if (output.json) output.printJson(result)
    else
      output.print(
        `${output.color.green('merged')} ${count(result.mergedModules)} layers into ${result.out}; largest change of a weight ${digits(result.maxAbsDelta, 3)}`,
      )
    return 0
  },
})
