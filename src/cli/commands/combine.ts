/** @file `lowrank combine`. */
import { combine, combinationFlags } from '../combination.js'
import type { Adapter } from '../../index.js'
import { defineCommand } from '../flags.js'
import { count } from '../format.js'
import { openAdapter, openModel } from '../sources.js'
import { onnxFlags } from '../onnx-flags.js'
import { overwriteFlag, writeAdapter } from '../write-adapter.js'

export const combineCommand = defineCommand({
  name: 'combine',
  summary: 'Write several adapters as one, by weight.',
  description:
    'The result is a plain PEFT adapter with every scale in its matrices. cat is the exact weighted sum, and its ranks add up; the other combinations make adapters smaller or keep them from disturbing each other. Adapters that are more than low-rank changes (DoRA, trained biases, saved modules) are refused.',
  flags: {
    model: { type: 'text', value: 'M', required: true, help: 'Model folder, .onnx file or hub id that the adapters belong to.' },
    ...onnxFlags,
    adapter: { type: 'texts', value: 'DIR…', required: true, help: 'Adapter folder (PEFT) or hub id, once for each.' },
    ...combinationFlags,
    out: { type: 'text', value: 'DIR', required: true, help: 'Folder to write the adapter to.' },
    overwrite: overwriteFlag,
  },
  examples: [
    'lowrank combine --model SmolLM2-135M --adapter poet --adapter lawyer --weights 0.7,0.3 --out both',
    'lowrank combine --model SmolLM2-135M --adapter poet --adapter lawyer --combination ties_svd --density 0.5 --combined-rank 8 --out both',
  ],
  prints: '`{"out":…,"adapters":N,"layers":[{"module":…,"r":N}]}`.',
  async run(values, { output }) {
    const model = await openModel(values, output)
    const adapters: Adapter[] = []
    for (const path of values.adapter) adapters.push(await openAdapter(model, path, output))
    const adapter = await writeAdapter(
      model,
      values,
      () => combine(adapters, values),
      (made) => made,
    )
    const layers = adapter.targets.map(({ module, r }) => ({ module: module.name, r }))
    if (output.json) output.printJson({ out: values.out, adapters: adapters.length, layers })
    else {
      const ranks = layers.map(({ r }) => r)
      output.print(
        `${output.color.green('combined')} ${count(adapters.length)} adapters into ${values.out}; ${count(layers.length)} layers, ranks ${Math.min(...ranks)} to ${Math.max(...ranks)}`,
      )
    }
    return 0
  },
})
