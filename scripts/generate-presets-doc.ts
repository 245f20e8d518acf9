/** @file docs/presets.md: what each preset sets and why, from the table of presets, and what the runs of bench/presets.ts gave. */
import { readFileSync } from 'node:fs'
import { format } from 'prettier'
import { loraFieldTable } from '../src/adapters/lora-fields.js'
import { trainOptionTable } from '../src/train/option-table.js'
import { presets, type PresetSetting } from '../src/train/presets.js'
import type { AnyTable } from '../src/util/option-table.js'

const rows = { ...trainOptionTable, ...loraFieldTable } as unknown as AnyTable

function flagOf(option: string): string {
  const row = rows[option]
  if (row === undefined || !('flag' in row) || row.flag === null || row.flag === undefined) return `--${option}`
  return `--${typeof row.flag === 'string' ? row.flag : row.flag.name}`
}

const callees = { load: 'loadModel', lora: 'addLora', train: 'train' } as const

/** The Markdown of docs/presets.md. */
export function presetsDocument(): Promise<string> {
  const sections = Object.entries(presets).flatMap(([name, preset]) => [
    ...[`## ${name}`, '', preset.about, '', '| flag | option of | value | why |', '| --- | --- | --- | --- |'],
    ...(Object.keys(callees) as (keyof typeof callees)[]).flatMap((of) =>
      Object.entries(preset[of] as Readonly<Record<string, PresetSetting>>).map(
        ([option, { value, why, when }]) =>
          `| \`${flagOf(option)}\` | \`${callees[of]}\`: \`${option}\` | ${String(value)} | ${why}${when === undefined ? '' : ` (${when.says})`} |`,
      ),
    ),
    '',
  ])
  return format([INTRODUCTION, ...sections, ...measured(), SOURCES].join('\n'), { parser: 'markdown', printWidth: 130 })
}

/** What `bench/presets.ts` wrote: the runs of each seed by the name of their settings. */
interface Results {
  readonly rows: number
  readonly maxLength: number
  readonly experiments: readonly {
    readonly title: string
    readonly settings: Readonly<Record<string, readonly { readonly loss: number }[]>>
  }[]
}

const resultsOf = (name: string): Results => JSON.parse(readFileSync(`bench/results/${name}.json`, 'utf8')) as Results

/** Evaluation losses of all runs, a column a model: the median of the seeds, from the least to the greatest. */
function lossTable({ experiments }: Results): string[] {
  const loss = (runs: readonly { readonly loss: number }[]): string => {
    const losses = runs.map(({ loss: value }) => value).sort((a, b) => a - b)
    return `${losses[losses.length >> 1]!.toFixed(3)} (${losses[0]!.toFixed(3)} to ${losses.at(-1)!.toFixed(3)})`
  }
  return [
    `| settings | ${experiments.map(({ title }) => title).join(' | ')} |`,
    `| --- |${' --- |'.repeat(experiments.length)}`,
    ...Object.keys(experiments[0]!.settings).map(
      (name) => `| ${name} | ${experiments.map(({ settings }) => loss(settings[name]!)).join(' | ')} |`,
    ),
    '',
  ]
}

function measured(): string[] {
  const [all, ablation] = [resultsOf('presets'), resultsOf('presets-ablation')]
  return [
    '## Measured',
    '',
    `Evaluation loss on 200 held-out rows of E2E after ${all.rows} rows of at most ${all.maxLength} tokens, three seeds, as many passes as the settings say:`,
    '',
    ...lossTable(all),
    `What each setting of \`quality\` is worth: the same with one left to its default, ${ablation.rows} rows:`,
    '',
    ...lossTable(ablation),
    'Both models have less than two million parameters and would take ten times the learning rate: that is why a schedule that lowers it costs',
    'here, and rsLoRA, which raises the scale, gains so much. All linear layers, the rank and more passes help at any size (sources below).',
    'Steps, seconds (of a machine that did other work as well) and memory stand in `bench/results`.',
    '',
  ]
}

const INTRODUCTION = `# Presets

<!-- Made from the table in src/train/presets.ts by \`npm run docs\`; do not edit. -->

Settings that go together, each with its reason. They are a place to begin, not the best there is for your rows: change one thing
and compare.

\`\`\`sh
lowrank train --preset quality --model SmolLM2-135M --data train.jsonl --val-split 0.1 --out out
\`\`\`

The run says what the preset sets and why. Flags and the config file go before it: \`--preset quality --r 8\` has a rank of 8. The
model card and the report name the preset beside the numbers. It is only another way to write the numbers: a run is continued
with \`--resume\` by numbers that are the same, whether a preset gave them or flags.

In TypeScript its options are there to spread, and what follows them goes before them:

\`\`\`ts
import { addLora, loadModel, presetOptions, train } from 'lowrank'

const { load, lora, train: options } = presetOptions('quality')
const adapter = await addLora(await loadModel('./SmolLM2-135M', load), { ...lora, r: 8 })
for await (const event of train(adapter, { ...options, data: 'train.jsonl', valSplit: 0.1 })) console.log(event)
\`\`\`

\`train(adapter, { preset: 'quality', data })\` is the same for the options of \`train\` alone: the adapter and the model are there already.
`

const SOURCES = `## Sources

- **All linear layers, the learning rate, small batches**: J. Schulman and Thinking Machines Lab, [LoRA Without
  Regret](https://thinkingmachines.ai/blog/lora/) (2025): adapters on every layer, those of the MLP above all, do better than on
  attention alone even with as many parameters; the best learning rate is about ten times that of full fine-tuning, about fifteen
  times in short runs, and hardly depends on the rank; large batches cost LoRA more than full fine-tuning, at any rank. TRL's
  [guide](https://huggingface.co/docs/trl/main/en/lora_without_regret) repeats the experiments with PEFT.
- **All linear layers on a quantised base, 4 bits**: T. Dettmers et al., [QLoRA](https://arxiv.org/abs/2305.14314) (2023).
- **rsLoRA**: D. Kalajdzievski, [A Rank Stabilization Scaling Factor for Fine-Tuning with LoRA](https://arxiv.org/abs/2312.03732)
  (2023).
- **Recomputation**: T. Chen et al., [Training Deep Nets with Sublinear Memory Cost](https://arxiv.org/abs/1604.06174) (2016).

The values for \`r\`, \`loraAlpha\`, passes, warm-up and patience are customary ones, not results. Learning rates are for models of
a hundred million parameters and more; very small ones take ten times as much ([the guide](guide.md#3-train)).
\`npx tsx bench/presets.ts\` in a checkout compares the presets with the defaults on small models.
`
