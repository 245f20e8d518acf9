/** @file One part of the data, read once from beginning to end: what is in it, counted. */
import type { Dataset } from '../data/dataset.js'
import type { AnyExample, RowEncoding } from '../data/encoding.js'
import type { Tokenizer } from '../data/tokenizer.js'
import { InvalidDataError } from '../errors.js'
import type { Task } from '../models/task.js'
import type { Objective } from '../train/objective.js'
import type { BatchOptions } from '../data/dataset.js'
import type { Row } from '../data/rows.js'
import type { BadRow, RowPair, RowPlace, RowsInspection, ShownRow, ShownSequence } from './data-inspection.js'
import { FirstRows, hashOf, type Hash } from './first-rows.js'
import type { RowLengths } from './epoch-cost.js'
import { answerSpan, LabelCounts, rowLabel, tagsOf } from './labels.js'
import { summarizeLengths } from './lengths.js'
import { contentOf, inputShapes, learnedSpans, viewOf, type ExampleView } from './view.js'

/** Places that are told of a kind. */
const MOST_PLACES = 20

/** How rows become examples, and what is told of them. */
export interface ReadingOptions {
  readonly objective: Objective
  readonly task: Task
  readonly tokenizer: Tokenizer | undefined
  /** Of the rows as a run has them. */
  readonly encoding: RowEncoding
  /** The same without a longest row: what is cut is counted by it. */
  readonly uncut: RowEncoding
  /** Rows that are shown. */
  readonly shown: number
  readonly batches: BatchOptions
}

/** What was read, and what is needed to say more of it. */
export interface ReadRows {
  readonly found: RowsInspection
  readonly costs: RowLengths
  /** Rows as they are, and their inputs alone, by the first row that has them. */
  readonly contents: FirstRows
  readonly inputs: FirstRows
}

/** What rows have in common with others. */
export interface Told {
  /** Called for each usable row, with its contents. */
  (index: number, whole: Hash, input: Hash | undefined): void
}

/**
 * Reads every row.
 * @param progress told how many rows were read
 * @param warnings what a run would say of the rows, asked for at the end
 * @param told of each usable row's content
 */
export async function readRows(
  dataset: Dataset,
  options: ReadingOptions,
  progress: (rows: number) => void | Promise<void>,
  warnings: () => readonly string[],
  told: Told = () => undefined,
): Promise<ReadRows> {
  const reading = new Reading(dataset, options)
  const problems: string[] = []
  const rows = Uint32Array.from({ length: dataset.length }, (_, index) => index)
  const watch = {
    lastBatch: true,
    onExample(example: AnyExample | undefined, row: Row, index: number): void {
      if (example === undefined) reading.skipped++
      else reading.add(example, row, index, told)
    },
    onProblem(error: InvalidDataError, index: number): boolean {
      reading.bad.push({ ...placeOf(dataset, index), message: error.message })
      return true
    },
  }
  try {
    for await (const seen of dataset.check(rows, options.batches, watch)) await progress(seen)
  } catch (error) {
    if (!(error instanceof InvalidDataError)) throw error
    problems.push(error.message)
  }
  const { contents, inputs } = reading
  return { found: reading.result(problems, warnings()), costs: reading.costs(), contents, inputs }
}

export function placeOf(dataset: Dataset, index: number): RowPlace {
  const { file, line } = dataset.place(index)
  return { file, line }
}

/** Two rows by their numbers. */
export const pairOf = (dataset: Dataset, row: number, other: number, of: Dataset = dataset): RowPair => ({
  row: placeOf(dataset, row),
  first: placeOf(of, other),
})

/** Everything that is counted over the rows: some numbers a row, and of the first of each kind where they stand. */
class Reading {
  readonly bad: BadRow[] = []
  readonly contents = new FirstRows()
  readonly inputs = new FirstRows()
  skipped = 0
  private usable = 0
  private tokens = 0
  private learned = 0
  private readonly cut = { rows: 0, tokens: 0, learnedTokens: 0 }
  private readonly empty = { rows: 0, first: [] as RowPlace[] }
  private readonly duplicates = { rows: 0, first: [] as RowPair[] }
  private readonly shown: ShownRow[] = []
  private readonly labels: LabelCounts
  /** Positions of each row as it is fed, and before it was cut. */
  private readonly fed: Uint32Array
  private readonly whole: Uint32Array
  private texts: [Uint32Array, Uint32Array] | undefined
  /** The first row of the same content; of those with an input, the first with the same one. Row and 1, 0 of others. */
  private readonly firstLike: Uint32Array
  private readonly firstInput: Uint32Array
  private readonly blank = new Map<number, boolean>()
  private readonly tokenTexts = new Map<number, string>()
  private hasTokens = false
  private perToken = false

  constructor(
    private readonly dataset: Dataset,
    private readonly options: ReadingOptions,
  ) {
    const { length } = dataset
    this.fed = new Uint32Array(length)
    this.whole = new Uint32Array(length)
    this.firstLike = new Uint32Array(length)
    this.firstInput = new Uint32Array(length)
    this.labels = new LabelCounts(options.objective.name, options.task)
  }

  add(example: AnyExample, row: Row, index: number, told: Told): void {
    const { objective, encoding } = this.options
    const { seed = 0 } = this.options.batches
    // As the first epoch has it; rows are compared by what is not drawn.
    const view = viewOf(encoding.drawn?.(example, { seed, epoch: 0, row: index }) ?? example)
    this.usable++
    this.tokens += view.positions
    const learned = this.learnedOf(view)
    this.learned += learned
    this.fed[index] = encoding.lengthOf(example)
    if (view.lengths.length === 2) {
      this.texts ??= [new Uint32Array(this.fed.length), new Uint32Array(this.fed.length)]
      this.texts.forEach((of, i) => (of[index] = view.lengths[i]!))
    }
    this.whole[index] = Math.max(...view.lengths)
    if (example.truncated) this.countCut(row, index, view, learned)
    if (objective.causal && this.learnsNothing(view)) {
      this.empty.rows++
      if (this.empty.first.length < MOST_PLACES) this.empty.first.push(placeOf(this.dataset, index))
    }
    this.labels.add(view)
    this.compare(viewOf(example), index, told)
    if (this.shown.length < this.options.shown) this.shown.push(this.show(example, view, index))
  }

  private learnedOf({ sequences }: ExampleView): number {
    let learned = 0
    for (const sequence of sequences) {
      this.hasTokens = true
      if (sequence.labels === undefined) continue
      this.perToken = true
      for (const [start, end] of learnedSpans(sequence, this.options.objective.causal)) learned += end - start
    }
    return learned
  }

  private countCut(row: Row, index: number, view: ExampleView, learned: number): void {
    const whole = viewOf(this.options.uncut.encode(row))
    this.cut.rows++
    this.cut.tokens += whole.positions - view.positions
    this.cut.learnedTokens += this.learnedOf(whole) - learned
    this.whole[index] = Math.max(...whole.lengths)
  }

  /** Whether all that is learned is special tokens and white space. */
  private learnsNothing({ sequences }: ExampleView): boolean {
    const { objective } = this.options
    return sequences.some((sequence) =>
      learnedSpans(sequence, objective.causal).every(([start, end]) => {
        for (let i = start; i < end; i++) if (!this.isBlank(sequence.ids[i]!)) return false
        return true
      }),
    )
  }

  private isBlank(id: number): boolean {
    const { tokenizer } = this.options
    if (tokenizer === undefined) return false
    let blank = this.blank.get(id)
    if (blank === undefined) {
      blank = tokenizer.isSpecial(id) || tokenizer.eosTokenIds.includes(id) || tokenizer.tokenText(id).trim() === ''
      this.blank.set(id, blank)
    }
    return blank
  }

  private compare(view: ExampleView, index: number, told: Told): void {
    const { whole, input } = contentOf(view, this.options.objective)
    const hashes = [hashOf(whole), input && hashOf(input)] as const
    const first = this.contents.add(hashes[0], index)
    this.firstLike[index] = first + 1
    if (first !== index) {
      this.duplicates.rows++
      if (this.duplicates.first.length < MOST_PLACES) this.duplicates.first.push(pairOf(this.dataset, index, first))
    }
    if (hashes[1] !== undefined) this.firstInput[index] = this.inputs.add(hashes[1], index) + 1
    told(index, ...hashes)
  }

  /** Inputs that have several answers: the rows that have one of them. */
  private sameInput(): RowsInspection['sameInput'] {
    const differs = new Uint8Array(this.firstInput.length)
    this.firstInput.forEach((first, index) => {
      if (first > 0 && this.firstLike[index] !== this.firstLike[first - 1]) differs[first - 1] = 1
    })
    let rows = 0
    const pairs: RowPair[] = []
    this.firstInput.forEach((first, index) => {
      if (first === 0 || differs[first - 1] === 0) return
      rows++
      if (this.firstLike[index] !== this.firstLike[first - 1] && pairs.length < MOST_PLACES)
        pairs.push(pairOf(this.dataset, index, first - 1))
    })
    return { inputs: differs.reduce((sum, each) => sum + each, 0), rows, first: pairs }
  }

  private show(example: AnyExample, view: ExampleView, index: number): ShownRow {
    const { objective, task } = this.options
    const label = rowLabel(view, objective.name, task)
    const names = view.sequences.length < 2 ? [] : objective.causal ? ['chosen', 'rejected'] : ['first', 'second']
    const inputs = inputShapes(view)
    return {
      ...placeOf(this.dataset, index),
      sequences: view.sequences.map((sequence, i) => this.showSequence(view, sequence, names[i])),
      ...(Object.keys(inputs).length > 0 && { inputs }),
      ...(label !== undefined && { label }),
      truncated: example.truncated,
    }
  }

  private showSequence(view: ExampleView, sequence: ExampleView['sequences'][number], name: string | undefined): ShownSequence {
    const { objective, task, tokenizer } = this.options
    const ids = Array.from(sequence.ids)
    const labels = sequence.labels === undefined ? null : Array.from(sequence.labels)
    // As in the batch: nothing predicts the first token.
    if (labels !== null && objective.causal) labels[0] = -100
    const answer = answerSpan(view)
    const isSpecial = (id: number): boolean => tokenizer?.isSpecial(id) ?? false
    return {
      ...(name !== undefined && { name }),
      ids,
      labels,
      tokens: ids.map((id) => this.textOf(id)),
      special: ids.flatMap((id, i) => (isSpecial(id) ? [i] : [])),
      learned: answer === undefined ? learnedSpans(sequence, objective.causal) : [answer],
      ...(objective.name === 'token-classification' && labels !== null && { tags: tagsOf(labels, task) }),
    }
  }

  private textOf(id: number): string {
    let text = this.tokenTexts.get(id)
    if (text === undefined) {
      text = this.options.tokenizer?.tokenText(id) ?? `<${id}>`
      this.tokenTexts.set(id, text)
    }
    return text
  }

  costs(): RowLengths {
    return { lengths: this.fed, texts: this.texts, tokens: this.tokens }
  }

  result(problems: readonly string[], warnings: readonly string[]): RowsInspection {
    const { dataset, bad, skipped, usable, tokens, cut, duplicates, empty, shown } = this
    const lengths = this.hasTokens ? summarizeLengths(this.whole.filter((length) => length > 0)) : undefined
    const labels = this.labels.result()
    return {
      files: dataset.files,
      rows: dataset.length,
      usable,
      bad,
      problems,
      skipped,
      tokens,
      learnedTokens: this.perToken ? this.learned : null,
      ...(lengths !== undefined && { lengths }),
      truncated: cut,
      duplicates,
      sameInput: this.sameInput(),
      emptyAnswers: empty,
      ...(labels !== undefined && { labels }),
      warnings,
      shown,
    }
  }
}
