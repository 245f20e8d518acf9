/** @file The tasks of GLUE as examples/NLU of microsoft/LoRA has them: texts, labels, splits, and what the best epoch is told by. */
import type { GlueTask } from '../../metrics/glue.js'
import type { MetricForBest } from '../../train/best.js'

/** A part of a task's data that is evaluated or predicted, by its name in records. */
export interface GlueSplit {
  readonly name: 'dev' | 'matched' | 'mismatched' | 'test' | 'test_matched' | 'test_mismatched'
  /** Names of its file, without the extension. */
  readonly files: readonly string[]
  /** What the file of its predictions is called: `test_results_{name}.txt`. */
  readonly predictions?: string
}

export interface GlueTaskFacts {
  /** Names of folders that hold the task's files. */
  readonly folders: readonly string[]
  /** Fields of the one or two texts of a row, as `datasets` calls them. */
  readonly texts: readonly [string] | readonly [string, string]
  /** Names of the classes by number; none where a row has a number. */
  readonly labels: readonly string[]
  /** Columns of distributed TSV files: of each text, and of the label. */
  readonly columns: { readonly texts: readonly (readonly string[])[]; readonly label: readonly string[] }
  /** Where texts and label stand in files that do not name their columns, by how many columns there are at least. */
  readonly places?: { readonly width: number; readonly texts: readonly number[]; readonly label: number }
  readonly dev: readonly GlueSplit[]
  readonly test: readonly GlueSplit[]
  /** What the best evaluation is told by, among the metrics that training knows. */
  readonly best: MetricForBest
}

const devs: readonly GlueSplit[] = [{ name: 'dev', files: ['dev', 'validation', 'valid', 'val', 'sts-dev'] }]
const tests = (task: GlueTask): readonly GlueSplit[] => [{ name: 'test', files: ['test', 'sts-test'], predictions: task }]

/** Most tasks: columns called after the fields. */
const task = (
  name: GlueTask,
  folders: readonly string[],
  texts: GlueTaskFacts['texts'],
  labels: readonly string[],
  more: Partial<GlueTaskFacts> = {},
): GlueTaskFacts => ({
  ...{ folders, texts, labels, dev: devs, test: tests(name), best: 'accuracy' },
  columns: { texts: texts.map((field) => [field]), label: ['label'] },
  ...more,
})

const pair = ['sentence1', 'sentence2'] as const
const entailment = ['entailment', 'not_entailment'] as const

export const glueTasks: Readonly<Record<GlueTask, GlueTaskFacts>> = {
  cola: task('cola', ['CoLA', 'cola'], ['sentence'], ['unacceptable', 'acceptable'], {
    // Source, label, the author's own mark, sentence.
    places: { width: 4, texts: [3], label: 1 },
    best: 'matthews',
  }),
  sst2: task('sst2', ['SST-2', 'sst2'], ['sentence'], ['negative', 'positive'], {
    places: { width: 2, texts: [0], label: 1 },
  }),
  mrpc: task('mrpc', ['MRPC', 'mrpc'], pair, ['not_equivalent', 'equivalent'], {
    columns: { texts: [['#1 String'], ['#2 String']], label: ['Quality'] },
  }),
  stsb: task('stsb', ['STS-B', 'stsb'], pair, [], {
    columns: { texts: [['sentence1'], ['sentence2']], label: ['score'] },
    // Genre, file, year, number, score and the texts, which may be followed by their sources.
    places: { width: 7, texts: [5, 6], label: 4 },
    best: 'pearson',
  }),
  qqp: task('qqp', ['QQP', 'qqp'], ['question1', 'question2'], ['not_duplicate', 'duplicate'], {
    columns: { texts: [['question1'], ['question2']], label: ['is_duplicate'] },
  }),
  mnli: task('mnli', ['MNLI', 'mnli'], ['premise', 'hypothesis'], ['entailment', 'neutral', 'contradiction'], {
    columns: { texts: [['sentence1'], ['sentence2']], label: ['gold_label'] },
    dev: [
      { name: 'matched', files: ['dev_matched', 'validation_matched'] },
      { name: 'mismatched', files: ['dev_mismatched', 'validation_mismatched'] },
    ],
    test: [
      { name: 'test_matched', files: ['test_matched'], predictions: 'mnli' },
      { name: 'test_mismatched', files: ['test_mismatched'], predictions: 'mnli-mm' },
    ],
  }),
  qnli: task('qnli', ['QNLI', 'qnli'], ['question', 'sentence'], entailment),
  rte: task('rte', ['RTE', 'rte'], pair, entailment),
  wnli: task('wnli', ['WNLI', 'wnli'], pair, ['not_entailment', 'entailment']),
}

/** The rows to train on. */
export const trainFiles: readonly string[] = ['train', 'sts-train']
