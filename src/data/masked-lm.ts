/** @file Rows of a masked language model: which of their tokens are hidden is drawn anew in every epoch. */
import { InvalidDataError } from '../errors.js'
import { IGNORED_LABEL } from '../losses/causal-lm.js'
import { Random } from '../util/rng.js'
import type { Draw, RowEncoding } from './encoding.js'
import { maskTokens, type MaskOptions } from './mask-tokens.js'
import { rowTokenizer } from './needed-tokenizer.js'
import { perToken } from './row-shapes.js'
import type { FieldsExample, RowTensor } from './row-tensors.js'
import { at, hasField, type Row } from './rows.js'
import { taskEncoding, type TaskEncodingOptions } from './task-encoding.js'
import type { TextTokens } from './text-fields.js'

/** A row whose labels are, until it is drawn, every token that may be hidden. */
interface MaskedExample extends FieldsExample {
  /** How its tokens are hidden; undefined of a row that brings its labels, whose tokens are hidden already. */
  readonly masking: MaskOptions | undefined
}

/**
 * Rows of text, one or two of them, or of tokens. A row {"input_ids", "labels"} is taken as it is: -100 stands where nothing
 * is asked for.
 * @param probability chance of each token that is no special one
 */
export function maskedLmEncoding(options: TaskEncodingOptions, probability: number): RowEncoding<MaskedExample> {
  const base = taskEncoding(options, (row, tokens) => {
    const labels = hasField(row, 'labels') ? givenLabels(row, options) : candidates(row, tokens!, options)
    return {
      fields: { labels: labelTensor(labels) },
      tokens: labels.slice(0, tokens!.inputIds.length).filter((label) => label !== IGNORED_LABEL).length,
    }
  })
  return {
    ...base,
    encode(row) {
      const example = base.encode(row)
      return { ...example, masking: hasField(row, 'labels') ? undefined : maskingOf(row, options, probability) }
    },
    drawn,
    emptyReason: (example) =>
      example.masking === undefined
        ? base.emptyReason(example)
        : 'it has no token but special ones, of which none is hidden; leave texts out that are empty',
  }
}

const labelTensor = (labels: readonly number[]): RowTensor => ({
  dtype: 'int64',
  shape: [labels.length],
  values: labels,
  pad: IGNORED_LABEL,
})

/** The row's own labels. @throws InvalidDataError for one that is no token */
function givenLabels(row: Row, { vocabularySize }: TaskEncodingOptions): readonly number[] {
  if (!hasField(row, 'input_ids'))
    throw new InvalidDataError(
      `${at(row)}: "labels" of a masked language model are token ids, of a row {"input_ids", "labels"}; leave "labels" out of a row of text, whose tokens are hidden here.`,
    )
  const labels = perToken(row, 'labels', perToken(row, 'input_ids', row.value['input_ids'] as readonly number[]))
  const strange = labels.findIndex((label) => label !== IGNORED_LABEL && (label < 0 || label >= vocabularySize))
  if (strange < 0) return labels
  throw new InvalidDataError(
    `${at(row)}: label ${labels[strange]} at position ${strange} is neither ${IGNORED_LABEL} nor a token id of the model's vocabulary of ${vocabularySize}.`,
  )
}

/** The tokens that may be hidden: what is neither a special token nor out of the model's sight. */
function candidates(row: Row, { inputIds, attentionMask }: TextTokens, { tokenizer }: TaskEncodingOptions): readonly number[] {
  const known = rowTokenizer(row, tokenizer, '{"input_ids": […], "labels": […]}')
  return inputIds.map((id, i) => (attentionMask[i] === 1 && !known.isSpecial(id) ? id : IGNORED_LABEL))
}

/** @throws InvalidDataError for a tokenizer without a mask token */
function maskingOf(row: Row, { tokenizer, vocabularySize }: TaskEncodingOptions, probability: number): MaskOptions {
  const { maskTokenId, size, folder } = rowTokenizer(row, tokenizer)
  if (maskTokenId !== undefined && maskTokenId < vocabularySize)
    return { probability, maskTokenId, vocabularySize: Math.min(size, vocabularySize) }
  throw new InvalidDataError(
    maskTokenId === undefined
      ? `${at(row)}: the tokenizer in ${folder} names no mask token, which stands in the place of hidden tokens; name it in tokenizer_config.json ("mask_token"), or give rows {"input_ids", "labels"} whose tokens are hidden already.`
      : `${at(row)}: the mask token ${maskTokenId} of the tokenizer in ${folder} is outside the model's vocabulary of ${vocabularySize}; the tokenizer belongs to another model.`,
  )
}

/** The row with some of its tokens hidden: others in each epoch, the same in each run of a seed. */
function drawn(example: MaskedExample, { seed, epoch, row }: Draw): MaskedExample {
  const { masking, rows } = example
  if (masking === undefined) return example
  const [fields] = rows
  const [inputs, open] = [fields!['input_ids']!, fields!['labels']!]
  const places = Array.from(open.values, (label, i) => (label === IGNORED_LABEL ? -1 : i)).filter((place) => place >= 0)
  const { ids, labels, chosen } = maskTokens(Array.from(inputs.values), places, masking, Random.derive(seed, 'masks', epoch, row))
  return { ...example, rows: [{ ...fields, input_ids: { ...inputs, values: ids }, labels: labelTensor(labels) }], tokens: chosen }
}
