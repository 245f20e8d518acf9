/** @file Tags of words and the entities that they make, of texts and of rows of words. */
import { checkExampleOptions, longestRow } from '../data/examples.js'
import { rowTokenizer } from '../data/needed-tokenizer.js'
import { at, hasField, located, type Row } from '../data/rows.js'
import { textFields, type TaskEncodingOptions } from '../data/task-encoding.js'
import { checkIds, findWordsField, readTexts, textTokens, wordsField } from '../data/text-fields.js'
import { InvalidDataError } from '../errors.js'
import { argmax } from '../metrics/classification.js'
import type { Task } from '../models/task.js'
import { labelName, softmax } from './classification.js'
import type { EntitySpan, LabelScore, TagsPrediction, WordTag } from './prediction.js'
import { taskGraph, type EncodedRow, type RowReader } from './reader.js'
import { trimmed, type Stretch } from './stretch.js'

/** A token or a word with its tag. */
type Tagged = LabelScore & Stretch

export function tagReader(task: Task, options: TaskEncodingOptions): RowReader<TagsPrediction> {
  checkExampleOptions(options)
  return {
    name: 'task',
    build: taskGraph,
    encode: (row) => (findWordsField(row) === undefined ? encodeText(row, task, options) : encodeWords(row, task, options)),
  }
}

/** The likeliest label at a position. */
function tagAt(logits: Float32Array, position: number, task: Task): LabelScore {
  const { numLabels } = task
  const probabilities = softmax(logits.subarray(position * numLabels, (position + 1) * numLabels))
  const best = argmax(probabilities)
  return { label: labelName(task, best), score: probabilities[best]! }
}

function encodeText(row: Row, task: Task, options: TaskEncodingOptions): EncodedRow<TagsPrediction> {
  if (hasField(row, 'input_ids'))
    throw new InvalidDataError(
      `${at(row)}: "input_ids" does not tell where tokens stand in a text; give {"text"} or {"tokens": [word, …]}.`,
    )
  const texts = readTexts(row)
  if (texts.length !== 1)
    throw new InvalidDataError(`${at(row)}: tags are of one text, but the row holds two; expected {"text"}.`)
  const [text] = texts
  const known = rowTokenizer(row, options.tokenizer, '{"tokens"}')
  const encoded = located(row, () => known.encodePlaced(text, longestRow(options)))
  const { places, truncated } = encoded
  const tokens = textTokens(encoded)
  checkIds(row, tokens, options)
  return {
    rows: [textFields(row, tokens, options)],
    truncated,
    read([logits]) {
      const tagged = places.flatMap((place, i): Tagged[] =>
        place === undefined ? [] : [{ ...tagAt(logits!, i, task), ...trimmed(text, place) }],
      )
      return { words: wordsOf(text, tagged), entities: entitiesOf(text, tagged) }
    },
  }
}

/** What lies between white space, with the tag of the first token that ends in it. */
function wordsOf(text: string, tagged: readonly Tagged[]): WordTag[] {
  const words: WordTag[] = []
  let next = 0
  for (const { 0: word, index: start } of text.matchAll(/\S+/g)) {
    const end = start + word.length
    while (next < tagged.length && tagged[next]!.end <= start) next++
    const first = tagged[next]
    // What was cut off, or has no token, has no tag.
    if (first !== undefined && first.start < end) words.push({ word, label: first.label, score: first.score, start, end })
  }
  return words
}

function encodeWords(row: Row, task: Task, options: TaskEncodingOptions): EncodedRow<TagsPrediction> {
  const list = wordsField(row, findWordsField(row)!)
  const known = rowTokenizer(row, options.tokenizer)
  const encoded = located(row, () => known.encodeWords(list, longestRow(options)))
  const { words, truncated } = encoded
  const tokens = textTokens(encoded)
  checkIds(row, tokens, options)
  const text = list.join(' ')
  const starts = list.reduce<number[]>((all, word) => [...all, all.at(-1)! + word.length + 1], [0])
  return {
    rows: [textFields(row, tokens, options)],
    truncated,
    read([logits]) {
      const tags = words.flatMap((word, i): WordTag[] => {
        if (word < 0 || words[i - 1] === word) return []
        const start = starts[word]!
        return [{ word: list[word]!, ...tagAt(logits!, i, task), start, end: start + list[word]!.length }]
      })
      return { words: tags, entities: entitiesOf(text, tags) }
    },
  }
}

/** Neighbours of one type, but for those that a `B-` begins: `simple` aggregation of transformers' TokenClassificationPipeline. */
function entitiesOf(text: string, tagged: readonly Tagged[]): EntitySpan[] {
  const groups: { readonly entity: string; readonly members: Tagged[] }[] = []
  for (const each of tagged) {
    const [, kind, named] = /^([BI])-(.*)$/s.exec(each.label) ?? []
    const entity = named ?? each.label
    const last = groups.at(-1)
    if (last?.entity === entity && kind !== 'B') last.members.push(each)
    else groups.push({ entity, members: [each] })
  }
  return groups
    .filter(({ entity }) => entity !== 'O')
    .map(({ entity, members }) => {
      const { start, end } = trimmed(text, { start: members[0]!.start, end: members.at(-1)!.end })
      const score = members.reduce((sum, member) => sum + member.score, 0) / members.length
      return { entity, score, text: text.slice(start, end), start, end }
    })
}
