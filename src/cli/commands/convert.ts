/** @file `lowrank convert`. */
import { defineCommand, defined } from '../flags.js'
import { count } from '../format.js'
import { onnxFlags } from '../onnx-flags.js'
import { library, openModel } from '../sources.js'
import { UsageError } from '../usage-error.js'

/** `true,false,true`, or 1 and 0. */
function slices(names: readonly string[] | undefined): boolean[] | undefined {
  return names?.map((name) => {
    if (name === 'true' || name === '1') return true
    if (name === 'false' || name === '0') return false
    throw new UsageError(`--enable-lora takes true and false, got "${name}".`)
  })
}

export const convertCommand = defineCommand({
  name: 'convert',
  summary: 'Write an adapter in another file format.',
  description:
    'Between PEFT folders (peft, peft-bin), loralib checkpoints (loralib: .pt, .pth, .th, .bin), ONNX Runtime adapters (onnx-adapter), mlx-lm folders (mlx), adapters of llama.cpp (gguf) and, to read, the .safetensors of kohya and diffusers (diffusion). The source is told by its content. What the other format cannot hold is refused, or named in the notes where the rest is of use.',
  flags: {
    from: { type: 'text', value: 'A', required: true, help: 'Adapter to read: a folder or a file.' },
    to: { type: 'text', value: 'B', required: true, help: 'Folder or file to write.' },
    overwrite: {
      type: 'switch',
      help: 'Replace the file --to, or the adapter in that folder; also write beside checkpoints or a model there.',
    },
    format: {
      type: 'text',
      choices: ['peft', 'peft-bin', 'loralib', 'onnx-adapter', 'mlx', 'gguf'],
      help: 'What to write; by the ending of --to by default (no ending: peft).',
    },
    alpha: {
      type: 'number',
      option: 'loraAlpha',
      value: 'X',
      help: 'Numerator of the scale, where the file does not tell it (loralib).',
    },
    model: {
      type: 'text',
      value: 'M',
      help: 'Base model, which tells kinds and names of layers that a file lacks; needed for gguf.',
    },
    ...onnxFlags,
    'enable-lora': { type: 'names', value: 'BOOL,…', help: 'Slices that a MergedLinear of loralib adapts: true,false,true.' },
    'kernel-sizes': { type: 'mapping', value: 'NAME=K,…', help: 'Kernel sizes of the convolutions of a loralib file.' },
    embeddings: { type: 'names', help: 'Embeddings of a loralib file, by the ends of their names.' },
    component: { type: 'text', value: 'NAME', help: 'Part of an image pipeline: unet, text_encoder, transformer.' },
    layout: {
      type: 'text',
      choices: ['peft', 'olive'],
      default: 'peft',
      help: "Names and orientation in an .onnx_adapter: PEFT's, or Olive's (transposed, without prefix).",
    },
    'task-type': { type: 'text', value: 'TYPE', help: "PEFT's task, such as SEQ_CLS, where the file does not tell it." },
    'base-model': { type: 'text', value: 'ID', help: 'What the adapter shall name as its base, where the file does not.' },
  },
  examples: [
    'lowrank convert --from roberta_base_lora_mnli.bin --to mnli --alpha 16',
    'lowrank convert --from out --to out.onnx_adapter',
    'lowrank convert --from out --to out-mlx --format mlx',
    'lowrank convert --from out --to out.gguf --model SmolLM2-135M',
  ],
  prints:
    '`{"out":…,"from":…,"format":…,"tensors":N,"lossless":true,"notes":[…]}`; `from` and `format` name what was read and written, `notes` say what was assumed, rounded or left out.',
  async run(values, { output }) {
    const { convert } = await library()
    for (const flag of ['constants', 'dims'] as const)
      if (values[flag] !== undefined && values.model === undefined)
        throw new UsageError(`--${flag} is of an .onnx file; name it with --model.`)
    const model = values.model === undefined ? undefined : await openModel({ ...values, model: values.model }, output)
    const result = await convert(
      values.from,
      values.to,
      defined({
        format: values.format,
        overwrite: values.overwrite,
        alpha: values.alpha,
        model,
        enableLora: slices(values['enable-lora']),
        kernelSizes: values['kernel-sizes'],
        embeddings: values.embeddings,
        component: values.component,
        layout: values.layout as 'peft' | 'olive',
        taskType: values['task-type'],
        baseModel: values['base-model'],
      }),
    )
    if (output.json) output.printJson(result)
    else {
      const { green, yellow } = output.color
      output.print(
        `${green('converted')} ${count(result.tensors)} tensors from ${result.from} to ${result.format}: ${result.out}`,
      )
      for (const note of result.notes) output.print(`  ${note}`)
      if (!result.lossless) output.print(yellow('  the result is not the same adapter bit for bit; see above'))
    }
    return 0
  },
})
