/** @file `lowrank inspect`. */
import type { Inspection } from '../../index.js'
import { defineCommand, defined } from '../flags.js'
import { count, digits, megabytes, table } from '../format.js'
import { onnxFlags } from '../onnx-flags.js'
import { hubOptions, library } from '../sources.js'

const show = (value: unknown): string =>
  value === null ? '–' : typeof value === 'string' ? value : Array.isArray(value) ? value.join(', ') : JSON.stringify(value)

const headLine = ({ task, labels }: { readonly task: string; readonly labels: readonly string[] }): string =>
  labels.length === 0 ? task : `${task}: ${labels.slice(0, 10).join(', ')}${labels.length > 10 ? `, … (${labels.length})` : ''}`

/** Facts in front of the table of modules. */
function facts(found: Inspection): [string, string][] {
  switch (found.kind) {
    case 'model':
      return [
        ['architecture', found.architecture],
        ['parameters', count(found.parameters)],
        ['stored as', found.dtypes.join(', ')],
        ['vocabulary', count(found.vocabularySize)],
        ['positions', count(found.maxPositions)],
        ['default targets', found.defaultTargetModules.join(', ')],
      ]
    case 'adapter':
      return [
        ['base model', show(found.baseModel)],
        ['rank', String(found.r)],
        ['alpha', digits(found.alpha)],
        ['dropout', digits(found.dropout)],
        ['rsLoRA', found.useRslora ? 'yes' : 'no'],
        ...(Object.keys(found.rankPattern).length > 0 ? [['rank pattern', show(found.rankPattern)] as [string, string]] : []),
        ...(Object.keys(found.alphaPattern).length > 0 ? [['alpha pattern', show(found.alphaPattern)] as [string, string]] : []),
        ['targets', show(found.targetModules)],
        ...(found.head === undefined ? [] : [['head', headLine(found.head)] as [string, string]]),
        ['parameters', count(found.parameters)],
        ['size', megabytes(found.bytes)],
      ]
    case 'adapter-file':
      return [
        ['format', found.format],
        ['base model', show(found.baseModel)],
        ['rank', String(found.r)],
        ['alpha', found.alpha === null ? '–' : digits(found.alpha)],
        ['targets', show(found.targetModules)],
        ['saved whole', show(found.modulesToSave)],
        ['parameters', count(found.parameters)],
        ['size', megabytes(found.bytes)],
        ...found.notes.map((note): [string, string] => ['note', note]),
      ]
    case 'safetensors':
    case 'torch':
    case 'gguf':
    case 'onnx':
      return [
        ['tensors', count(found.tensors)],
        ['parameters', count(found.parameters)],
        ['size', megabytes(found.bytes)],
        ...Object.entries(found.metadata),
        ...(found.unsupported ?? []).map((node): [string, string] => ['not supported', node]),
      ]
  }
}

function modules(found: Inspection): string[] {
  if (found.modules.length === 0) return ['no module that can be adapted']
  if (found.kind === 'adapter')
    return table(
      ['module', 'rank', 'alpha', 'scale', 'in', 'out', 'parameters'],
      found.modules.map((m) => [
        m.name,
        String(m.r),
        digits(m.alpha),
        digits(m.scale, 4),
        count(m.inFeatures),
        count(m.outFeatures),
        count(m.parameters),
      ]),
      [1, 2, 3, 4, 5, 6],
    )
  if (found.kind === 'adapter-file')
    return table(
      ['module', 'rank', 'in', 'out', 'parameters'],
      found.modules.map((m) => [m.name, String(m.r), count(m.inFeatures), count(m.outFeatures), count(m.parameters)]),
      [1, 2, 3, 4],
    )
  const noted = found.modules.some((m) => m.notes !== undefined)
  return table(
    ['module', 'kind', 'shape', 'parameters', ...(noted ? ['note'] : [])],
    found.modules.map((m) => [
      ...[m.name, m.kind, m.shape.join(' × '), count(m.parameters)],
      ...(noted ? [(m.notes ?? []).join('; ')] : []),
    ]),
    [3],
  )
}

export const inspectCommand = defineCommand({
  name: 'inspect',
  summary: 'Show what a model, an adapter or a file holds.',
  description:
    'For a model folder, a .safetensors, an .onnx, a .gguf or a torch file: the modules that can be adapted, with shapes and parameter counts. For an adapter (a PEFT or mlx-lm folder, a loralib checkpoint, an .onnx_adapter, a .gguf of llama.cpp, a file of kohya or diffusers): rank, alpha, targets and size.',
  positionals: ['PATH'],
  flags: onnxFlags,
  examples: ['lowrank inspect SmolLM2-135M', 'lowrank inspect out --json'],
  prints:
    'one object with `kind` (`model`, `adapter`, `adapter-file` for formats other than PEFT, `safetensors`, `torch`, `gguf` or `onnx`), `parameters`, `modules` and what the kind has beside them.',
  async run({ constants, dims }, { output, positionals: [path = ''] }) {
    const { inspect } = await library()
    const found = await inspect(path, { ...hubOptions(output), ...defined({ constants, dims }) })
    if (output.json) output.printJson(found)
    else {
      output.print(output.color.bold(`${found.kind} ${found.path}`))
      const rows = facts(found)
      const width = Math.max(...rows.map(([name]) => name.length))
      for (const [name, value] of rows) output.print(`${output.color.dim(name.padEnd(width))}  ${value}`)
      output.print('')
      for (const line of modules(found)) output.print(line)
    }
    return 0
  },
})
