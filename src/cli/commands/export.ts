/** @file `lowrank export`. */
import { baseName } from '../../io/places.js'
import { defineCommand, defined } from '../flags.js'
import { count, megabytes } from '../format.js'
import { folderHeadFlags } from '../head-flags.js'
import { noteNotMerged } from '../not-merged.js'
import { library, openAdapter, openModel } from '../sources.js'
import { UsageError } from '../usage-error.js'

/** Names of adapters' files: the last parts of their paths, and a number where two are alike. */
function fileNames(paths: readonly string[]): string[] {
  const names: string[] = []
  for (const path of paths) {
    const base =
      baseName(path)
        .replace(/[^\w.-]/g, '-')
        .replace(/^\.+/, '') || 'adapter'
    let name = base
    for (let i = 2; names.includes(name); i++) name = `${base}-${i}`
    names.push(name)
  }
  return names
}

export const exportCommand = defineCommand({
  name: 'export',
  summary: 'Write a model as ONNX, for transformers.js and other apps.',
  description:
    'Writes onnx/model.onnx (weights beside it in onnx/model.onnx_data), config.json and the tokenizer, in the layout that transformers.js reads. An adapter is merged into the weights; with --adapter-as-input its matrices are inputs of the graph instead, and each adapter is a small file in adapters/, for apps that run ONNX Runtime themselves.',
  flags: {
    model: { type: 'text', value: 'M', required: true, help: 'Model folder or hub id.' },
    ...folderHeadFlags,
    adapter: { type: 'texts', value: 'DIR…', help: 'Adapter folder (PEFT) or hub id; several with --adapter-as-input.' },
    out: { type: 'text', value: 'DIR', required: true, help: 'Folder to write.' },
    overwrite: { type: 'switch', help: 'Replace the model that an earlier export or merge wrote to --out.' },
    'adapter-as-input': { type: 'switch', help: "Keep the adapter's matrices inputs of the graph." },
    dtype: {
      type: 'text',
      choices: ['fp32', 'fp16'],
      default: 'fp32',
      help: 'How matrices are stored; the graph computes in fp32 either way. fp16 halves the file, model_fp16.onnx.',
    },
    'max-positions': { type: 'integer', value: 'N', min: 1, help: "Longest text to serve, if shorter than the model's." },
  },
  examples: [
    'lowrank export --model SmolLM2-135M --adapter out --out my-model',
    'lowrank export --model SmolLM2-135M --adapter polite rude --adapter-as-input --out switchable',
  ],
  prints:
    '`{"out":…,"files":[…],"bytes":N,"inputs":[…],"outputs":[…],"maxAbsDelta":…}`; `inputs` and `outputs` are those of the graph, `maxAbsDelta` is the largest change of a weight by merging; `notMerged` lists modules that the written model lacks, if any.',
  async run(values, { output }) {
    const paths = values.adapter ?? []
    const asInput = values['adapter-as-input']
    if (asInput && paths.length === 0) throw new UsageError('--adapter-as-input needs --adapter.')
    if (!asInput && paths.length > 1)
      throw new UsageError('several adapters need --adapter-as-input; lowrank merge --format onnx adds them up.')
    const { exportOnnx, exportWithAdapterInputs } = await library()
    const model = await openModel(values, output)
    const adapters = []
    for (const path of paths) adapters.push(await openAdapter(model, path, output))
    const options = defined({
      dtype: values.dtype as 'fp32' | 'fp16',
      maxPositions: values['max-positions'],
      overwrite: values.overwrite,
    })
    const names = fileNames(paths)
    const result = asInput
      ? await exportWithAdapterInputs(Object.fromEntries(adapters.map((adapter, i) => [names[i]!, adapter])), values.out, options)
      : await exportOnnx(adapters[0] ?? model, values.out, options)
    noteNotMerged(result, output)
    if (output.json) output.printJson(result)
    else {
      output.print(
        `${output.color.green('exported')} ${megabytes(result.bytes)} to ${result.out}; ${count(result.inputs.length)} inputs, ${count(result.outputs.length)} outputs`,
      )
      for (const file of result.files) output.print(`  ${file}`)
    }
    return 0
  },
})
