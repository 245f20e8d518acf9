/**
 * @file What a quantised base does to quality: LoRA on int8 and int4 beside fp32, the same rows, the same first A and B.
 *
 *     npx tsx bench/quality.ts [--seeds 3] [--steps 200] [--pretrain-steps 400] [--only e2e,own] [--threads 2]
 *
 * Two experiments: E2E with stories260k, where its model and data lie beside the checkout; and a Llama of six million
 * parameters that is first trained from scratch on the demo's rows (kept in a temporary folder), then adapted to the other
 * domain. Writes `quality.md`, `quality.json` and a picture of the curves for each into `bench/results`.
 */
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { generateRows, HELD_OUT, reformatted, toJsonl } from '../demo/rows.js'
import { writeTokenizer } from '../demo/tokenizer.js'
import { encodeSafetensors } from '../src/formats/index.js'
import { addLora, fullTrainee, loadModel, nodeEnvironment, Random, randomWeights, train, type JsonValue } from '../src/index.js'
import { e2eCase, hasE2e } from './cases.js'
import { folder } from './models.js'
import { lineChart } from './svg.js'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '3' },
    steps: { type: 'string', default: '200' },
    'pretrain-steps': { type: 'string', default: '400' },
    only: { type: 'string', default: 'e2e,own' },
    threads: { type: 'string', default: '2' },
    out: { type: 'string', default: join(dirname(fileURLToPath(import.meta.url)), 'results') },
  },
})
const [seeds, steps, pretrainSteps, threads] = [values.seeds, values.steps, values['pretrain-steps'], values.threads].map(
  Number,
) as [number, number, number, number]
const bases = ['fp32', 'int8', 'int4'] as const
type Base = (typeof bases)[number]

interface Experiment {
  readonly name: string
  readonly title: string
  readonly model: string
  readonly data: string
  readonly evalData: string
  readonly batchSize: number
  readonly maxLength: number
  readonly learningRate: number
}

type Curve = readonly (readonly [step: number, loss: number])[]

/** 6.2 million parameters; every width a multiple of 32, so that int4 concerns all matrices. */
const config = {
  ...{ architectures: ['LlamaForCausalLM'], model_type: 'llama', hidden_act: 'silu', rms_norm_eps: 1e-6 },
  ...{ vocab_size: 768, hidden_size: 288, intermediate_size: 768, num_hidden_layers: 6 },
  ...{ num_attention_heads: 9, num_key_value_heads: 9, head_dim: 32, max_position_embeddings: 256, rope_theta: 10000 },
  ...{ attention_bias: false, mlp_bias: false, initializer_range: 0.03, tie_word_embeddings: true },
  ...{ pad_token_id: 0, bos_token_id: 1, eos_token_id: 2 },
} satisfies Record<string, JsonValue>

const say = (text: string): void => void process.stderr.write(`${text}\n`)

/** The model of our own, trained once for a number of steps. @returns its folder */
async function pretrained(): Promise<string> {
  const home = join(folder, `quality-model-${pretrainSteps}`)
  if (existsSync(join(home, 'done'))) return home
  const { files } = nodeEnvironment()
  const all = [...generateRows('general', 6000, 1), ...generateRows('trains', 2000, 1)]
  const texts = all.map(({ prompt, completion }) => prompt + completion)
  await writeTokenizer(files, home, texts, config.vocab_size)
  const { bos_token_id, eos_token_id, pad_token_id } = config
  await files.write(`${home}/generation_config.json`, JSON.stringify({ bos_token_id, eos_token_id, pad_token_id }))
  await files.write(`${home}/model.safetensors`, encodeSafetensors(randomWeights(config, 1)))
  await files.write(`${home}/config.json`, JSON.stringify(config))
  const random = Random.derive(1, 'formats')
  const batchSize = 32
  const rows = generateRows('general', pretrainSteps * batchSize, 1).map((row) => reformatted(row, random))
  await files.write(`${home}/pretrain.jsonl`, toJsonl(rows))
  const trainee = await fullTrainee(await loadModel(home, { threads }))
  const schedule = { schedule: 'cosine', warmup: 0.1, learningRate: 1.5e-3, beta2: 0.98 } as const
  const options = { data: `${home}/pretrain.jsonl`, batchSize, steps: pretrainSteps, maxLength: 128, groupByLength: true }
  for await (const event of train(trainee, { ...options, ...schedule }))
    if (event.event === 'step' && event.step % 20 === 0)
      say(`pretraining ${event.step}/${pretrainSteps}: loss ${event.loss.toFixed(4)}`)
  await files.write(`${home}/model.safetensors`, encodeSafetensors(trainee.parameters.tensors))
  // Last: whoever finds it finds a trained model.
  await files.write(`${home}/done`, '')
  return home
}

async function ownExperiment(): Promise<Experiment> {
  const model = await pretrained()
  const home = join(folder, 'quality')
  await mkdir(home, { recursive: true })
  const held = generateRows('trains', HELD_OUT.trains.rows, HELD_OUT.trains.seed)
  const known = new Set(held.map(({ prompt }) => prompt))
  const rows = generateRows('trains', steps * 16, 5).filter(({ prompt }) => !known.has(prompt))
  await writeFile(join(home, 'train.jsonl'), toJsonl(rows))
  await writeFile(join(home, 'valid.jsonl'), toJsonl(held))
  return {
    ...{ name: 'own', title: 'A Llama of 6.2 million parameters, demo rows', model },
    ...{ data: join(home, 'train.jsonl'), evalData: join(home, 'valid.jsonl') },
    ...{ batchSize: 16, maxLength: 128, learningRate: 1e-3 },
  }
}

async function e2eExperiment(): Promise<Experiment> {
  const { model, data, evalData, batchSize, maxLength, learningRate } = await e2eCase(steps)
  return { name: 'e2e', title: 'E2E, stories260k', model, data, evalData: evalData!, batchSize, maxLength, learningRate }
}

/** Evaluation losses of a run, every tenth of it. */
async function curve(e: Experiment, base: Base, seed: number): Promise<Curve> {
  const adapter = await addLora(await loadModel(e.model, { threads, base }), {
    r: 8,
    alpha: 16,
    targetModules: 'all-linear',
    seed,
  })
  const { data, evalData, batchSize, maxLength, learningRate } = e
  const points: [number, number][] = []
  const evalEvery = Math.max(1, Math.floor(steps / 10))
  const options = { data, evalData, batchSize, maxLength, learningRate, steps, seed, evalEvery }
  for await (const event of train(adapter, options)) if (event.event === 'eval') points.push([event.step, event.loss])
  say(`${e.name} ${base} seed ${seed}: ${points.at(-1)![1].toFixed(4)}`)
  return points
}

interface Outcome {
  readonly experiment: Experiment
  readonly curves: Readonly<Record<Base, readonly Curve[]>>
}

const last = (points: Curve): number => points.at(-1)![1]
const mean = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0) / numbers.length

function table({ experiment, curves }: Outcome): string[] {
  const reference = mean(curves.fp32.map(last))
  const rows = bases.map((base) => {
    const losses = curves[base].map(last)
    const change = (100 * (mean(losses) / reference - 1)).toFixed(2)
    return `| ${base} | ${losses.map((loss) => loss.toFixed(4)).join(' | ')} | ${mean(losses).toFixed(4)} | ${change} % |`
  })
  const head = ['base', ...Array.from({ length: seeds }, (_, seed) => `seed ${seed}`), 'mean', 'against fp32']
  return [
    ...[`## ${experiment.title}`, '', `Evaluation loss after ${steps} steps of ${experiment.batchSize} rows.`, ''],
    ...[`| ${head.join(' | ')} |`, `|${head.map(() => '---|').join('')}`, ...rows, ''],
    ...[`![curves](quality-${experiment.name}.svg)`, ''],
  ]
}

const wanted = values.only.split(',')
const experiments: Experiment[] = []
const notes: string[] = []
if (wanted.includes('e2e')) {
  if (hasE2e()) experiments.push(await e2eExperiment())
  else notes.push('E2E was not measured: its model and data are not beside this checkout.', '')
}
if (wanted.includes('own')) experiments.push(await ownExperiment())

await mkdir(values.out, { recursive: true })
const outcomes: Outcome[] = []
for (const experiment of experiments) {
  const curves: Record<Base, Curve[]> = { fp32: [], int8: [], int4: [] }
  // By turns, so that a run that is stopped has seen every base.
  for (let seed = 0; seed < seeds; seed++) for (const base of bases) curves[base].push(await curve(experiment, base, seed))
  outcomes.push({ experiment, curves })
  // One colour a base: the mean over seeds; single seeds are in the table and the JSON.
  const means = bases.map((base) => ({
    label: base,
    points: curves[base][0]!.map(([step], i) => [step, mean(curves[base].map((points) => points[i]![1]))] as const),
  }))
  const picture = lineChart(`${experiment.title}: evaluation loss, mean of ${seeds} seeds`, { x: 'step', y: 'loss' }, means)
  await writeFile(join(values.out, `quality-${experiment.name}.svg`), picture)
}
const text = ['# Quality on a quantised base', '', ...notes, ...outcomes.flatMap(table)].join('\n')
const numbers = outcomes.map(({ experiment: { name, title }, curves }) => ({ name, title, steps, curves }))
await writeFile(join(values.out, 'quality.md'), text)
await writeFile(join(values.out, 'quality.json'), `${JSON.stringify(numbers, null, 1)}\n`)
process.stdout.write(text)
