/** @file Examples to the padded tensors that a step eats. */
import type { HostTensor } from '../graph/types.js'
import { IGNORED_LABEL } from '../losses/causal-lm.js'
import { countTargets, type Example } from './examples.js'

/** Inputs of one micro-batch. All tensors are int64, [rows, longest row]. */
export interface Batch {
  readonly inputIds: HostTensor
  /** 1 on tokens, 0 on padding; in packed rows the number of the example (1, 2, …). */
  readonly attentionMask: HostTensor
  /** 0, 1, … from each example's first token. */
  readonly positionIds: HostTensor
  /** Not shifted; -100 is ignored. */
  readonly labels: HostTensor
  /** Labels that count once shifted: the divisor of a mean loss. */
  readonly tokens: number
  /** Number of rows of the tensors. */
  readonly rows: number
  /** Number of examples: more than `rows` if packed. */
  readonly examples: number
  /** How many examples lost their end. */
  readonly truncated: number
}

/** Examples that share one row of a batch; just one unless packed. */
export type PackedRow = readonly Example[]

/**
 * Pads rows to the longest of them.
 *
 * In a row of several examples each keeps its own number in the mask and its own positions, and its first label is
 * masked, so that the shift inside the loss never predicts one example's start from another's end.
 * @param options.leftPad padding before the tokens, for generation; after them otherwise
 */
export function makeBatch(
  rows: readonly PackedRow[],
  options: { readonly padTokenId: number; readonly leftPad?: boolean },
): Batch {
  const lengths = rows.map((row) => row.reduce((sum, example) => sum + example.inputIds.length, 0))
  const width = Math.max(0, ...lengths)
  const size = rows.length * width
  const inputIds = new BigInt64Array(size).fill(BigInt(options.padTokenId))
  const attentionMask = new BigInt64Array(size)
  const positionIds = new BigInt64Array(size)
  const labels = new BigInt64Array(size).fill(BigInt(IGNORED_LABEL))
  let tokens = 0
  rows.forEach((row, r) => {
    let place = r * width + (options.leftPad === true ? width - (lengths[r] ?? 0) : 0)
    row.forEach((example, number) => {
      example.inputIds.forEach((id, i) => {
        inputIds[place + i] = BigInt(id)
        attentionMask[place + i] = BigInt((example.attentionMask[i] ?? 0) * (number + 1))
        positionIds[place + i] = BigInt(i)
        if (i > 0) labels[place + i] = BigInt(example.labels[i] ?? IGNORED_LABEL)
      })
      place += example.inputIds.length
      tokens += countTargets(example.labels)
    })
  })
  const examples = rows.flat()
  const tensor = (data: BigInt64Array): HostTensor => ({ dtype: 'int64', shape: [rows.length, width], data })
  return {
    inputIds: tensor(inputIds),
    attentionMask: tensor(attentionMask),
    positionIds: tensor(positionIds),
    labels: tensor(labels),
    tokens,
    rows: rows.length,
    examples: examples.length,
    truncated: examples.filter((example) => example.truncated).length,
  }
}
