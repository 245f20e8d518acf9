/** @file `lowrank merge`. */
import { defineCommand } from '../flags.js'
import { count, digits } from '../format.js'
import { library, openAdapter, openModel } from '../sources.js'

export const mergeCommand = defineCommand({
  name: 'merge',
  summary: 'Write a model with an adapter merged into its weights.',
  description:
    'The merged model costs nothing extra to run. Shards, names and element types are those of the source, unless it is written as ONNX; W + s·B·A is computed in float32. The source is never changed, and merging into its folder is refused.',
  flags: {
    model: { type: 'text', value: 'M', required: true, help: 'Model folder or hub id.' },
    adapter: { type: 'texts', value: 'DIR…', required: true, help: 'Adapter folder (PEFT) or hub id. Several are added up.' },
    weights: { type: 'text', value: 'X,X', notYet: 'all', help: 'Weight of each adapter.' },
    out: { type: 'text', value: 'DIR', required: true, help: 'Folder to write the merged model to.' },
    format: {
      type: 'text',
      choices: ['safetensors', 'onnx'],
      default: 'safetensors',
      help: 'What to write; onnx as lowrank export does.',
    },
  },
  examples: ['lowrank merge --model SmolLM2-135M --adapter out --out merged'],
  prints: '`{"out":…,"mergedModules":N,"maxAbsDelta":…}`; `maxAbsDelta` is the largest change of a weight.',
  async run(values, { output }) {
    const { merge } = await library()
    const model = await openModel(values, output)
    const adapters = []
    for (const path of values.adapter) adapters.push(await openAdapter(model, path, output))
    const result = await merge(adapters).save(values.out, { format: values.format as 'safetensors' | 'onnx' })
    if (output.json) output.printJson(result)
    else
      output.print(
        `${output.color.green('merged')} ${count(result.mergedModules)} layers into ${result.out}; largest change of a weight ${digits(result.maxAbsDelta, 3)}`,
      )
    return 0
  },
})
