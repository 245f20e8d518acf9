/** @file Examples to the padded tensors that a step eats. */
import type { HostTensor } from '../graph/types.js'
import { IGNORED_LABEL } from '../losses/causal-lm.js'
import { countTargets, type Example } from './examples.js'

/** Inputs of one micro-batch. */
export interface Batch<Name extends string = string> {
  /** Inputs of the graph by name, labels among them. The first axis counts rows. */
  readonly feeds: Readonly<Record<Name, HostTensor>>
  /** The feeds whose second axis counts positions, and what fills it behind a row. */
  readonly padding: Readonly<Partial<Record<Name, number>>>
  /** Positions of each row without the padding behind it. */
  readonly lengths: readonly number[]
  /** Labelled units, the divisor of a mean loss: labels that count (once shifted, for a language model), rows or images. */
  readonly tokens: number
  /** Input positions that are no padding; images where there are none. */
  readonly positions: number
  /** Number of rows of the tensors. */
  readonly rows: number
  /** Number of examples: more than `rows` if packed. */
  readonly examples: number
  /** How many examples lost their end. */
  readonly truncated: number
  /** Neighbouring rows that must stay together when the batch is cut into parts; 1 by default. */
  readonly group?: number
  /** Of KTO, until its KL divergence is known: the prompts with each other's completions, which tell it. */
  readonly mismatched?: Batch
}

/** What a language model is fed, all int64 [rows, longest row]. */
export type TokenFeed =
  | 'input_ids'
  /** 1 on tokens, 0 on padding; in packed rows the number of the example (1, 2, …). */
  | 'attention_mask'
  /** 0, 1, … from each example's first token, unless its row brings its own. */
  | 'position_ids'
  /** Not shifted; -100 is ignored. */
  | 'labels'

/** Examples that share one row of a batch; just one unless packed. */
export type PackedRow<E = Example> = readonly E[]

export interface PaddingOptions {
  readonly padTokenId: number
  /** Padding before the tokens, for generation; after them otherwise. */
  readonly leftPad?: boolean
}

/**
 * Pads rows of a language model to the longest of them.
 *
 * In a row of several examples each keeps its own number in the mask and its own positions, and its first label is
 * masked, so that the shift inside the loss never predicts one example's start from another's end.
 */
export function makeBatch(rows: readonly PackedRow[], options: PaddingOptions): Batch<TokenFeed> {
  const lengths = rows.map((row) => row.reduce((sum, example) => sum + example.inputIds.length, 0))
  const width = Math.max(0, ...lengths)
  const size = rows.length * width
  const inputIds = new BigInt64Array(size).fill(BigInt(options.padTokenId))
  const attentionMask = new BigInt64Array(size)
  const positionIds = new BigInt64Array(size)
  const labels = new BigInt64Array(size).fill(BigInt(IGNORED_LABEL))
  let tokens = 0
  let positions = 0
  rows.forEach((row, r) => {
    let place = r * width + (options.leftPad === true ? width - (lengths[r] ?? 0) : 0)
    row.forEach((example, number) => {
      example.inputIds.forEach((id, i) => {
        const seen = example.attentionMask[i] ?? 0
        positions += seen
        inputIds[place + i] = BigInt(id)
        attentionMask[place + i] = BigInt(seen * (number + 1))
        positionIds[place + i] = BigInt(example.positionIds?.[i] ?? i)
        if (i > 0) labels[place + i] = BigInt(example.labels[i] ?? IGNORED_LABEL)
      })
      place += example.inputIds.length
      tokens += countTargets(example.labels)
    })
  })
  const examples = rows.flat()
  const tensor = (data: BigInt64Array): HostTensor => ({ dtype: 'int64', shape: [rows.length, width], data })
  return {
    feeds: {
      input_ids: tensor(inputIds),
      attention_mask: tensor(attentionMask),
      position_ids: tensor(positionIds),
      labels: tensor(labels),
    },
    padding: { input_ids: options.padTokenId, attention_mask: 0, position_ids: 0, labels: IGNORED_LABEL },
    lengths: usedLengths(rows.length, width, attentionMask, labels),
    tokens,
    positions,
    rows: rows.length,
    examples: examples.length,
    truncated: examples.filter((example) => example.truncated).length,
  }
}

/** Length of every row up to its last position that is seen or labelled. */
function usedLengths(rows: number, width: number, mask: BigInt64Array, labels: BigInt64Array): number[] {
  return Array.from({ length: rows }, (_, row) => {
    let length = width
    while (length > 1 && mask[row * width + length - 1] === 0n && labels[row * width + length - 1] === BigInt(IGNORED_LABEL))
      length--
    return length
  })
}
