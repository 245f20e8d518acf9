/** @file `lowrank extract`. */
import { defineCommand, defined } from '../flags.js'
import { count, digits } from '../format.js'
import { library, openModel } from '../sources.js'
import { onnxFlags } from '../onnx-flags.js'
import { overwriteFlag, writeAdapter } from '../write-adapter.js'

export const extractCommand = defineCommand({
  name: 'extract',
  summary: 'Write what fine-tuning changed in a model as a LoRA adapter.',
  description:
    'For every layer the largest singular values of the difference of its weights, at a rank or holding a share of the change. Layers that do not differ have no branch; what differs elsewhere is listed.',
  flags: {
    model: { type: 'text', value: 'M', required: true, help: 'Base model: folder, .onnx file or hub id.' },
    ...onnxFlags,
    tuned: { type: 'text', value: 'M', required: true, help: 'The model that was fine-tuned from it, with all its weights.' },
    out: { type: 'text', value: 'DIR', required: true, help: 'Folder to write the adapter to.' },
    overwrite: overwriteFlag,
    r: { type: 'integer', value: 'N', min: 1, help: 'Rank of every layer. Give this or --energy.' },
    energy: {
      type: 'number',
      value: 'X',
      min: 0,
      help: "Share of each layer's change (the sum of its squares) to hold, up to 1.",
    },
    'target-modules': {
      type: 'modules',
      value: 'A,B',
      default: 'all-linear',
      help: 'Layers: names, all-linear, or one regular expression.',
    },
  },
  examples: [
    'lowrank extract --model SmolLM2-135M --tuned SmolLM2-135M-Instruct --out difference --r 16',
    'lowrank extract --model base --tuned tuned --out difference --energy 0.95',
  ],
  prints:
    '`{"out":…,"layers":[{"module":…,"r":N,"energy":X}],"left":[…]}`; `energy` is the share of the change that a layer holds, `left` names weights that differ and are in no layer.',
  async run(values, { output }) {
    const { extractLora } = await library()
    const base = await openModel(values, output)
    const tuned = await openModel({ ...values, model: values.tuned }, output)
    const options = { targetModules: values['target-modules'], ...defined({ r: values.r, energy: values.energy }) }
    const { layers, left } = await writeAdapter(
      base,
      values,
      () => extractLora(base, tuned, options),
      ({ adapter }) => adapter,
    )
    if (output.json) output.printJson({ out: values.out, layers, left })
    else {
      const ranks = layers.map(({ r }) => r)
      const least = Math.min(...layers.map(({ energy }) => energy))
      output.print(
        `${output.color.green('extracted')} ${count(layers.length)} layers into ${values.out}; ranks ${Math.min(...ranks)} to ${Math.max(...ranks)}, at least ${digits(100 * least, 3)} % of each change`,
      )
      if (left.length > 0)
        output.note(output.color.yellow(`warning: ${left.length} weights differ and are not in the adapter: ${left.slice(0, 5).join(', ')}${left.length > 5 ? ', …' : ''}`)) // prettier-ignore
    }
    return 0
  },
})
