/** @file `lowrank analyze`. */
import { join } from 'node:path'
import { InvalidOptionError } from '../../errors.js'
import { CONFIG_FILE, TENSORS_FILE } from '../../formats/peft.js'
import { nodeFiles } from '../../io/node-files.js'
import type { AdapterComparison } from '../../index.js'
import { defineCommand, defined, type Output } from '../flags.js'
import { digits, table } from '../format.js'
import { checkOutputs } from '../not-an-input.js'
import { folderHeadFlags } from '../head-flags.js'
import { onnxFlags } from '../onnx-flags.js'
import { library, openAdapter, openModel } from '../sources.js'

/** A file's name of a module's path. */
const fileNameOf = (module: string): string => module.replace(/[^\w.-]+/g, '_')

export const analyzeCommand = defineCommand({
  name: 'analyze',
  summary: 'Show what adapters have learned: ranks and norms of their changes, what they amplify, what they share.',
  description:
    'Of every layer the singular values of its change, how many directions it really uses, and its size; with --amplification by how much it amplifies directions of the base (section 7.3 of the LoRA paper). Of several adapters also which directions the first shares with each of the others (section 7.2): two ranks, two seeds, two tasks.',
  positionals: ['ADAPTER…'],
  flags: {
    model: { type: 'text', value: 'M', required: true, help: 'Base model: folder, .onnx file or hub id.' },
    ...onnxFlags,
    task: folderHeadFlags.task,
    amplification: {
      type: 'switch',
      help: "Compare each change with the base's weight in its directions, in the strongest ones of the weight, and in random ones.",
    },
    html: { type: 'text', value: 'FILE', help: 'Write tables and heat maps into one HTML page, which needs no network.' },
    svg: { type: 'text', value: 'DIR', help: 'Write a heat map of each layer of two adapters into a folder.' },
    overwrite: { type: 'switch', help: 'Replace the file --html, and files in --svg.' },
  },
  examples: [
    'lowrank analyze out --model SmolLM2-135M --amplification',
    'lowrank analyze out/r8 out/r64 --model SmolLM2-135M --html shared.html',
  ],
  prints:
    '`adapters`: of each the shortest `name` that tells it apart, `layers` (`module`, `r`, `scale`, `singularValues`, `rank`, `effectiveRank`, `stableRank`, `frobenius`, `spectral`, and with --amplification `amplification`: `r`, `base`, `inChange`, `inBase`, `inRandom`, `factor`) and `left` (`module`, `reason`); of several also `comparisons`: `names`, `layers` (`module`, `r`, and of `A` and `B` the grids `similarity` and `random`, `[i - 1][j - 1]`), `onlyFirst`, `onlySecond`.',
  async run(values, { output, positionals }) {
    const { html, svg, overwrite, amplification, seed } = values
    const files = nodeFiles()
    if (svg !== undefined && positionals.length < 2)
      throw new InvalidOptionError('--svg shows what two adapters share; name another one')
    if (overwrite && html === undefined && svg === undefined)
      throw new InvalidOptionError('--overwrite is for the files of --html and --svg')
    const read = positionals.flatMap((folder) => [CONFIG_FILE, TENSORS_FILE].map((name) => join(folder, name)))
    if (html !== undefined) await checkOutputs(files, [html], read, overwrite)
    const { analysisHead, analysisPage, analysisRows } = await import('../../report/analysis-page.js')
    const { namesOf } = await import('../../report/report.js')
    const { analyzeAdapter, compareAdapters, similarityPicture } = await library()
    const model = await openModel(values, output)
    const opened = await Promise.all(positionals.map((path) => openAdapter(model, path, output)))
    const names = namesOf(positionals)
    const comparisons = opened.slice(1).map((adapter, k) => ({
      names: [names[0]!, names[k + 1]!] as const,
      comparison: compareAdapters(opened[0]!, adapter, defined({ seed })),
    }))
    const pictures = comparisons.flatMap(({ names, comparison }, k) => {
      if (svg === undefined) return []
      const place = comparisons.length > 1 ? `${svg}/${k + 2}` : svg
      return comparison.layers.map((layer) => ({ path: `${place}/${fileNameOf(layer.module)}.svg`, layer, names }))
    })
    const paths = pictures.map(({ path }) => path)
    // Before the long part of the work.
    await checkOutputs(files, paths, read, overwrite)
    const adapters = []
    for (const [i, adapter] of opened.entries()) {
      const onLayer = ({ layers, of }: { layers: number; of: number }): void =>
        output.status(`${names[i]}: layer ${layers} of ${of}`)
      const analysis = await analyzeAdapter(adapter, { amplification, onLayer, ...defined({ seed }) })
      adapters.push({ name: names[i]!, analysis })
    }
    output.status(undefined)
    if (html !== undefined) await files.write(html, analysisPage(adapters, comparisons))
    for (const { path, layer, names } of pictures) await files.write(path, similarityPicture(layer, names))
    if (output.json)
      output.printJson({
        adapters: adapters.map(({ name, analysis }) => ({ name, ...analysis })),
        ...(comparisons.length > 0 && {
          comparisons: comparisons.map(({ names, comparison }) => ({ names, ...comparison })),
        }),
      })
    else {
      for (const { name, analysis } of adapters) {
        output.print(output.color.bold(name))
        const head = analysisHead(analysis)
        for (const line of table(head, analysisRows(analysis), [...head.keys()].slice(1))) output.print(line)
        for (const { module, reason } of analysis.left) output.note(`${module}: ${reason}`)
      }
      for (const { names, comparison } of comparisons) printComparison(names, comparison, output)
      for (const out of [html, svg]) if (out !== undefined) output.print(`${output.color.green('written')} ${out}`)
    }
    return 0
  },
})

/** φ of the first directions, and of all, beside what chance gives for all. */
function printComparison(names: readonly [string, string], comparison: AdapterComparison, output: Output): void {
  output.print(output.color.bold(`${names[0]} and ${names[1]}`))
  const rows = comparison.layers.map(({ module, A, B }) => [
    module,
    ...[A, B].flatMap(({ similarity, random }) =>
      [similarity[0]?.[0], similarity.at(-1)?.at(-1), random.at(-1)?.at(-1)].map((value) => digits(value, 3)),
    ),
  ])
  const head = ['layer', ...['A', 'B'].flatMap((side) => [`${side}: φ(1, 1)`, 'φ of all', 'by chance'])]
  for (const line of table(head, rows, [...head.keys()].slice(1))) output.print(line)
  for (const [name, only] of [[names[0], comparison.onlyFirst] as const, [names[1], comparison.onlySecond] as const])
    if (only.length > 0) output.note(`${name} alone changes ${only.join(', ')}`)
}
