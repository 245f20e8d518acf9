/** @file The objective of R-Drop, with and without cut-off (Shen et al., 2020), for classes of sequences. */
import { readClass } from '../../data/labels.js'
import { CUT_TOKENS, inTwoPasses } from '../../data/passes.js'
import { taskEncoding, type LabelReader, type TaskEncodingOptions } from '../../data/task-encoding.js'
import { InvalidOptionError } from '../../errors.js'
import { rDropLoss } from '../../losses/r-drop.js'
import type { Task } from '../../models/task.js'
import type { Objective } from '../objective.js'
import { classLabel, singleLabel } from './classification.js'

export interface RDropSettings {
  /** Weight of the divergence of the two passes, above 0. */
  readonly weight: number
  /** Share of the second pass' tokens that become the unknown one; 0 is none. */
  readonly cutoff: number
}

/**
 * Cross-entropy of two passes over each row and the divergence between them, see {@link rDropLoss}. Evaluation is that of one
 * pass: cross-entropy.
 */
export function rDrop(task: Task, { weight, cutoff }: RDropSettings): Objective {
  const plain = singleLabel(task)
  return {
    ...plain,
    name: `${plain.name}, R-Drop ${weight}${cutoff > 0 ? `, cut-off ${cutoff}` : ''}`,
    encoding: (options) => (cutoff > 0 ? cutEncoding(options, task) : plain.encoding(options)),
    learned: (batch, seed) => inTwoPasses(batch, cutoff, seed),
    attach(context) {
      if (!context.training) return plain.attach(context)
      const [logits] = context.graph.outputs
      return { ...rDropLoss(context.graph, logits!, weight), outputs: [] }
    },
  }
}

/** Rows that say what each of their tokens becomes when it is cut off. @throws InvalidOptionError for a tokenizer without an unknown token */
function cutEncoding(options: TaskEncodingOptions, task: Task): ReturnType<Objective['encoding']> {
  const { tokenizer } = options
  const unknown = tokenizer?.unkTokenId
  if (tokenizer === undefined || unknown === undefined)
    throw new InvalidOptionError(
      `cutoff (--cutoff) replaces tokens by the one for unknown words, but ${tokenizer === undefined ? 'there is no tokenizer beside the model' : `the tokenizer of ${tokenizer.folder} names none (unk_token)`}; leave it out`,
    )
  const kept = new Set([...tokenizer.prefix, ...tokenizer.suffix, tokenizer.clsTokenId, tokenizer.padTokenId])
  const readLabels: LabelReader = (row, tokens) => {
    const { fields, tokens: labelled } = classLabel(readClass(row, task))
    const { inputIds, attentionMask } = tokens!
    const values = inputIds.map((id, i) => (kept.has(id) || attentionMask[i] === 0 ? id : unknown))
    return { fields: { ...fields, [CUT_TOKENS]: { dtype: 'int64', shape: [values.length], values, pad: 0 } }, tokens: labelled }
  }
  return taskEncoding(options, readLabels)
}
