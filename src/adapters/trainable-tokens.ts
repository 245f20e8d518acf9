/** @file `trainable_token_indices`: some rows of an embedding are trained, the others stay as they are. */
import { int64 } from '../graph/constants.js'
import type { TargetModule } from '../graph/target-module.js'
import { int, type Value } from '../graph/types.js'
import type { GraphBuilder } from '../graph/builder.js'
import { PREFIX, weightName } from './lora.js'
import type { Attachment, Part, PartTensor, TensorValues } from './part.js'

/** PEFT's name; the tensor holds whole rows, not differences. */
export const tokensName = (module: string): string => `${PREFIX}${module}.token_adapter.trainable_tokens_delta`

export class TrainableTokens implements Part {
  readonly kind: string
  readonly module: string
  readonly tensors: readonly [PartTensor]

  /**
   * @param embedding the table whose rows are trained
   * @param tokens row numbers, in the order of the tensor's rows
   * @param tiedHead output head that shares the table: its rows follow
   */
  constructor(
    readonly embedding: TargetModule,
    readonly tokens: readonly number[],
    readonly tiedHead?: TargetModule,
  ) {
    this.module = embedding.name
    this.kind = `tokens:${tokens.join(',')}`
    this.tensors = [{ name: tokensName(embedding.name), shape: [tokens.length, embedding.outFeatures], role: 'rows' }]
  }

  /** @param counts [1] of int64, 0 where the rows do not count now; they always do without it */
  attach(at: Attachment, counts?: Value): void {
    const { b } = at
    const rows = at.input(this.tensors[0])
    /** By token: 0, or the number of its row. */
    const slots = new Array<number>(this.embedding.inFeatures).fill(0)
    this.tokens.forEach((token, i) => (slots[token] = i + 1))
    const all = b.constant(int64([slots.length], slots), 'token_slots')
    const table = counts === undefined ? all : b.mul(all, counts)
    at.change(at.module(this.embedding), (ids, y) => {
      const slot = b.gather(table, ids)
      const found = b.gather(b.concat([b.zeros([1, this.embedding.outFeatures]), rows], 0), slot)
      return b.where(b.unsqueeze(b.greater(slot, 0), [slot.shape!.length]), b.reshape(found, y.shape!), y)
    })
    if (this.tiedHead !== undefined)
      at.change(at.module(this.tiedHead), (x, y) => replaceColumns(b, y, b.matmul(x, rows, { transB: true }), table))
  }

  deltas(values: TensorValues): ReturnType<Part['deltas']> {
    const { name, weight } = this.embedding
    return [[weightName(weight), { module: name, kind: 'rows', rows: this.tokens, values: values(this.tensors[0].name) }]]
  }
}

/** y [rows, vocabulary] with the columns of some tokens taken from `columns` [rows, tokens]. */
function replaceColumns(b: GraphBuilder, y: Value, columns: Value, table: Value): Value {
  const padding = b.mul(b.slice(y, 1, 0, 1), 0)
  const spread = b.emit('Gather', [b.concat([padding, columns], 1), table], { axis: int(1) }, { shapes: [y.shape!] })
  return b.where(b.greater(table, 0), spread, y)
}
