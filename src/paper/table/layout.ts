/** @file The tables of the paper: their columns, the rows that were published, and which runs belong to them. */
import type { PaperRecord, PaperTask } from '../record.js'
import { communityE2e, communityGlue, publishedDart, publishedE2e, publishedGlue, publishedWebnlg, type CommunityRow, type PublishedRow } from './published.js' // prettier-ignore

/** A column: where a run has its number, and how the paper prints it. */
export interface Column {
  readonly name: string
  readonly task: PaperTask
  readonly split: string
  /** The metric by its name, or by how it begins: METEOR says which modules computed it. */
  readonly metric: string
  /** What the paper multiplies it by. */
  readonly times: 1 | 100
  readonly digits: number
}

export interface PaperTable {
  readonly title: string
  readonly columns: readonly Column[]
  readonly published: readonly PublishedRow[]
  readonly community: readonly CommunityRow[]
  /** The column that is the mean of the others, where the paper has one. */
  readonly average?: string
}

const text = (task: PaperTask, split: string, metric: string, times: 1 | 100, digits: number, name = metric): Column => ({
  ...{ name, task, split, metric, times, digits },
})

const understanding = (name: string, task: PaperTask, metric: string, split = 'dev'): Column => ({
  ...{ name, task, split, metric, times: 100, digits: 1 },
})

export const paperTables: readonly PaperTable[] = [
  {
    title: 'E2E',
    columns: [
      text('e2e', 'test', 'BLEU', 100, 1),
      text('e2e', 'test', 'NIST', 1, 2),
      text('e2e', 'test', 'METEOR', 100, 1),
      text('e2e', 'test', 'ROUGE_L', 100, 1, 'ROUGE-L'),
      text('e2e', 'test', 'CIDEr', 1, 2),
    ],
    published: publishedE2e,
    community: communityE2e,
  },
  {
    title: 'DART',
    columns: [text('dart', 'test', 'BLEU', 1, 1)],
    published: publishedDart,
    community: [],
  },
  {
    title: 'WebNLG',
    columns: (['unseen', 'seen', 'all'] as const).map((split) => text('webnlg', split, 'BLEU', 1, 1, `BLEU ${split}`)),
    published: publishedWebnlg,
    community: [],
  },
  {
    title: 'GLUE',
    columns: [
      understanding('MNLI', 'mnli', 'accuracy', 'matched'),
      understanding('SST-2', 'sst2', 'accuracy'),
      understanding('MRPC', 'mrpc', 'accuracy'),
      understanding('CoLA', 'cola', 'matthews'),
      understanding('QNLI', 'qnli', 'accuracy'),
      understanding('QQP', 'qqp', 'accuracy'),
      understanding('RTE', 'rte', 'accuracy'),
      understanding('STS-B', 'stsb', 'pearson'),
    ],
    published: publishedGlue,
    community: communityGlue,
    average: 'average',
  },
]

/** Names of models in presets, and in the paper's tables. */
const models = {
  'gpt2-medium': 'GPT-2 M',
  'gpt2-large': 'GPT-2 L',
  'roberta-base': 'RoBERTa base',
  'roberta-large': 'RoBERTa large',
  'deberta-v2-xxlarge': 'DeBERTa XXL',
} as const

/** The model of the paper whose settings a preset has; undefined of a run without one. */
export function paperModel(preset: string | undefined): string | undefined {
  return Object.entries(models).find(([name]) => preset?.includes(name) === true)?.[1]
}

export const tableOf = ({ task }: PaperRecord): PaperTable =>
  paperTables.find(({ columns }) => columns.some((column) => column.task === task))!
