/**
 * @file The runs of the paper on GLUE, one preset for each script of examples/NLU: roberta_base_*.sh, roberta_large_*.sh,
 * deberta_v2_xxlarge_*.sh, mnli.rdrop.sh and mnli.cutoff.sh.
 */
import type { nluTasks } from '../record.js'

export type NluTask = (typeof nluTasks)[number]

/** What a script says; what all of them share is in {@link nluTrainOptions}. */
export interface NluPreset {
  readonly task: NluTask
  /** Hub id of the base. */
  readonly model: string
  /** How many processes the script starts, each with a batch of its own. */
  readonly gpus: number
  readonly batchSize: number
  readonly learningRate: number
  readonly epochs: number
  readonly maxLength: number
  readonly r: number
  readonly alpha: number
  /** Steps, or a share of them. */
  readonly warmup: number
  readonly weightDecay: number
  /** Steps between evaluations; at the end of each epoch without. */
  readonly evalEvery?: number
  readonly classifierDropout?: number
  readonly rDrop?: number
  readonly cutoff?: number
  /** The adapter of MNLI is where it begins. */
  readonly fromMnli: boolean
  /** `--seed` of the script. */
  readonly seed: number
}

const starting: ReadonlySet<NluTask> = new Set(['mrpc', 'rte', 'stsb'])

/** What the scripts of a family share. */
type Shared = Pick<NluPreset, 'model' | 'gpus' | 'r' | 'alpha' | 'warmup' | 'weightDecay'>

/** What a script has of its own. */
type Own = Omit<NluPreset, keyof Shared | 'task' | 'fromMnli' | 'seed'> & Partial<Shared>

/** The presets of a family by their names. */
const family = (name: string, shared: Shared, rows: Readonly<Record<NluTask, Own>>): [string, NluPreset][] =>
  (Object.entries(rows) as [NluTask, Own][]).map(([task, own]) => [
    `${name}-${task}`,
    { task, fromMnli: starting.has(task), seed: 0, ...shared, ...own },
  ])

const roberta = { gpus: 8, r: 8, alpha: 16, warmup: 0.06, weightDecay: 0.1 }

const base = family(
  'roberta-base',
  { ...roberta, model: 'FacebookAI/roberta-base' },
  {
    mnli: { batchSize: 16, learningRate: 5e-4, epochs: 30, maxLength: 512 },
    sst2: { batchSize: 16, learningRate: 5e-4, epochs: 60, maxLength: 512 },
    mrpc: { batchSize: 16, learningRate: 4e-4, epochs: 30, maxLength: 512 },
    cola: { batchSize: 32, learningRate: 4e-4, epochs: 80, maxLength: 512, gpus: 2 },
    qnli: { batchSize: 32, learningRate: 4e-4, epochs: 25, maxLength: 512 },
    qqp: { batchSize: 16, learningRate: 5e-4, epochs: 25, maxLength: 512 },
    rte: { batchSize: 32, learningRate: 5e-4, epochs: 80, maxLength: 512 },
    stsb: { batchSize: 16, learningRate: 4e-4, epochs: 40, maxLength: 512 },
  },
)

const large = family(
  'roberta-large',
  { ...roberta, model: 'FacebookAI/roberta-large' },
  {
    mnli: { batchSize: 4, learningRate: 3e-4, epochs: 10, maxLength: 128 },
    sst2: { batchSize: 8, learningRate: 4e-4, epochs: 10, maxLength: 512 },
    mrpc: { batchSize: 4, learningRate: 3e-4, epochs: 20, maxLength: 512 },
    cola: { batchSize: 4, learningRate: 3e-4, epochs: 20, maxLength: 128 },
    qnli: { batchSize: 4, learningRate: 2e-4, epochs: 10, maxLength: 512 },
    qqp: { batchSize: 4, learningRate: 3e-4, epochs: 20, maxLength: 512 },
    rte: { batchSize: 8, learningRate: 4e-4, epochs: 20, maxLength: 512 },
    stsb: { batchSize: 4, learningRate: 3e-4, epochs: 10, maxLength: 128 },
  },
)

const xxlarge = family(
  'deberta-v2-xxlarge',
  { gpus: 8, r: 16, alpha: 32, model: 'microsoft/deberta-v2-xxlarge', warmup: 0, weightDecay: 0.01 },
  {
    mnli: { batchSize: 8, learningRate: 1e-4, epochs: 5, maxLength: 256, warmup: 1000, classifierDropout: 0.15, weightDecay: 0, evalEvery: 500 }, // prettier-ignore
    sst2: { batchSize: 8, learningRate: 6e-5, epochs: 16, maxLength: 128, warmup: 1000, classifierDropout: 0, evalEvery: 100 },
    mrpc: { batchSize: 32, learningRate: 2e-4, epochs: 30, maxLength: 128, warmup: 0.1, classifierDropout: 0, evalEvery: 10 },
    cola: { batchSize: 4, learningRate: 1.3e-4, epochs: 10, maxLength: 64, warmup: 100, classifierDropout: 0.1, weightDecay: 0, evalEvery: 20 }, // prettier-ignore
    qnli: { batchSize: 6, learningRate: 1e-4, epochs: 8, maxLength: 512, warmup: 500, classifierDropout: 0.1, evalEvery: 500 },
    qqp: { batchSize: 8, learningRate: 1e-4, epochs: 11, maxLength: 320, warmup: 10_000, classifierDropout: 0.2, evalEvery: 500 },
    rte: { batchSize: 4, learningRate: 2.6e-4, epochs: 11, maxLength: 320, warmup: 50, classifierDropout: 0.2, evalEvery: 20 },
    stsb: { batchSize: 4, learningRate: 2e-4, epochs: 10, maxLength: 128, warmup: 100, classifierDropout: 0.2, weightDecay: 0.1, evalEvery: 50 }, // prettier-ignore
  },
)

const mnli = new Map(xxlarge).get('deberta-v2-xxlarge-mnli')!

/** By name: model and task, and what is special of it. */
export const nluPresets: ReadonlyMap<string, NluPreset> = new Map([
  ...base,
  ...large,
  ...xxlarge,
  ['deberta-v2-xxlarge-mnli-rdrop', { ...mnli, rDrop: 1, seed: 42 }],
  ['deberta-v2-xxlarge-mnli-cutoff', { ...mnli, rDrop: 1, cutoff: 0.1, seed: 42 }],
])
