/** @file Recurrences over the steps of a sequence, as the gradients of recurrent layers need them. */
import type { GraphBuilder } from '../graph/builder.js'
import { tensor } from '../graph/constants.js'
import { subtractDims } from '../graph/dim/index.js'
import { activationAttributes, type RecurrentActivation } from '../graph/recurrent.js'
import { int, string, type Attributes, type Dim, type Shape, type Value } from '../graph/types.js'
import { identity, iota, placeCuts } from './place.js'

const END = 2 ** 31 - 1

/** The same number in every place. */
export type Factor = Value | number

/** The steps of one direction: which comes before which, where rows of a batch end at different lengths. */
export class Steps {
  private mask: Value | undefined

  /**
   * @param shape [sequence, batch, hidden] of what is shifted
   * @param lengths number of steps of each row, int32 [batch]; all have `sequence` of them if undefined
   */
  constructor(
    private readonly b: GraphBuilder,
    private readonly shape: Shape,
    readonly reverse: boolean,
    readonly lengths: Value | undefined,
  ) {}

  /** Whether a step is the last in time of its row, bool [sequence, batch, 1]. */
  private get isLastInTime(): Value {
    const { b, lengths } = this
    const [sequence, batch] = this.shape as [Dim, Dim]
    const time = b.reshape(iota(b, sequence), [sequence, 1, 1])
    const last = b.sub(b.cast(lengths!, 'int64'), 1)
    return (this.mask ??= b.equal(time, b.reshape(last, [1, batch, 1])))
  }

  /** Each step's value at the step before it in time; [1, batch, hidden] `edge` at the first. */
  private fromPast(x: Value, edge: Value): Value {
    return this.b.emit('Concat', [edge, this.cut(x, 0, -1)], { axis: int(0) }, { shapes: [x.shape!] })
  }

  /** Each step's value at the step after it in time; `edge` at the last of each row. */
  private fromFuture(x: Value, edge: Value): Value {
    const shifted = this.b.emit('Concat', [this.cut(x, 1, END), edge], { axis: int(0) }, { shapes: [x.shape!] })
    return this.lengths === undefined ? shifted : this.b.where(this.isLastInTime, edge, shifted)
  }

  private cut(x: Value, start: number, end: number): Value {
    const [sequence, ...rest] = x.shape!
    const ints = [start, end, 0].map((n) => this.b.int64s([n]))
    return this.b.emit('Slice', [x, ...ints], {}, { shapes: [[subtractDims(sequence!, 1), ...rest]] })
  }

  /** Each step's value at the step that the layer computes before it. */
  before = (x: Value, edge: Value): Value => (this.reverse ? this.fromFuture(x, edge) : this.fromPast(x, edge))
  /** Each step's value at the step that the layer computes after it. */
  after = (x: Value, edge: Value): Value => (this.reverse ? this.fromPast(x, edge) : this.fromFuture(x, edge))

  /** What [1, batch, hidden] is at the step that the layer computes last, and zero elsewhere. */
  atLast(x: Value): Value {
    const { b, reverse, lengths } = this
    if (!reverse && lengths !== undefined) return b.where(this.isLastInTime, x, 0)
    return placeCuts(b, x, this.shape, [reverse ? { axis: 0, start: 0, end: 1 } : { axis: 0, start: -1, end: END }])
  }

  /** A value at the step that the layer computes first: [1, batch, hidden]. */
  first(x: Value): Value {
    const { b, reverse, lengths } = this
    if (reverse && lengths !== undefined) return b.reduceSum(b.where(this.isLastInTime, x, 0), [0])
    const [start, end] = reverse ? [-1, END] : [0, 1]
    const ints = [start, end, 0].map((n) => b.int64s([n]))
    return b.emit('Slice', [x, ...ints], {}, { shapes: [[1, ...x.shape!.slice(1)]] })
  }
}

/**
 * A part of the state of a linear recurrence, all [sequence, batch, hidden]:
 * c = keep·c' + take·(add + h'·reads), h = emit·c, where c' and h', of all blocks, are those of the step before.
 */
export interface Block {
  readonly keep: Factor
  readonly take: Factor
  readonly emit: Factor
  readonly add: Value
  /** [blocks·hidden, hidden] */
  readonly reads: Value
  /** c before the first step, [1, batch, hidden]; zero if undefined. */
  readonly cell?: Value | undefined
}

export interface LinearRecurrence {
  /** h of all steps by block, [sequence, batch, blocks·hidden]. */
  readonly states: Value
  /** h and c after the last step, [batch, blocks·hidden]. */
  readonly lastState: Value
  readonly lastCell: Value
}

export interface LinearOptions {
  readonly reverse: boolean
  readonly lengths?: Value | undefined
}

/** Most steps that are written out, at seven nodes each: a session of more takes longer to make than it saves. */
export const MOST_STEPS = 256

/**
 * Solves a linear recurrence whose coefficients change from step to step.
 *
 * Over a length that is known it is written out, step by step. Over one that only the run knows it is an LSTM whose
 * activations are all the identity: its gates are the coefficients, handed through from the input, and only the new content
 * of the cell reads the state before. So an operator that every runtime has does what else would need a loop in the graph, at
 * the price of products with zeros.
 */
export function linearRecurrence(b: GraphBuilder, blocks: readonly Block[], options: LinearOptions): LinearRecurrence {
  const [sequence] = blocks[0]!.add.shape!
  return typeof sequence === 'number' && sequence <= MOST_STEPS && options.lengths === undefined
    ? writtenOut(b, blocks, sequence, options.reverse)
    : asLstm(b, blocks, options)
}

/** A number as [1, batch, hidden], or the pieces of a value by step. */
type PerStep = (step: number) => Factor

/** All steps, one after the other: what several blocks have in common is computed once. */
function writtenOut(b: GraphBuilder, blocks: readonly Block[], sequence: number, reverse: boolean): LinearRecurrence {
  const [, batch, hidden] = blocks[0]!.add.shape as [Dim, Dim, number]
  const pieces = new Map<Value, readonly Value[]>()
  const split = (x: Value): readonly Value[] => {
    const known = pieces.get(x) ?? b.splitEvenly(x, sequence, 1, 0)
    pieces.set(x, known)
    return known
  }
  const perStep = (factor: Factor): PerStep => (typeof factor === 'number' ? () => factor : (step) => split(factor)[step]!)
  const none = b.zeros([1, batch, hidden])
  const emits = b.concat(
    blocks.map(({ emit, add }) => (typeof emit === 'number' ? b.full(add.shape!, emit) : emit)),
    2,
  )
  const cells = new Map<string, { readonly block: Block; cell: Value | undefined }>()
  const keyOf = ({ keep, take, add, reads }: Block): string =>
    [keep, take, add, reads].map((v) => (typeof v === 'number' ? v : v.name)).join(' ')
  for (const block of blocks) if (!cells.has(keyOf(block))) cells.set(keyOf(block), { block, cell: block.cell })
  const states: Value[] = []
  const order = Array.from({ length: sequence }, (_, i) => (reverse ? sequence - 1 - i : i))
  let state: Value | undefined
  for (const step of order) {
    const before = state
    const contents = new Map<string, Value>()
    const contentOf = ({ add, reads }: Block): Value => {
      const key = `${add.name} ${reads.name}`
      const told = perStep(add)(step) as Value
      const content = contents.get(key) ?? (before === undefined ? told : b.add(b.matmul(before, reads), told))
      contents.set(key, content)
      return content
    }
    for (const group of cells.values()) {
      const { keep, take } = group.block
      const kept = group.cell === undefined ? undefined : scaled(b, group.cell, perStep(keep)(step))
      const taken = scaled(b, contentOf(group.block), perStep(take)(step))
      group.cell = kept === undefined ? taken : taken === undefined ? kept : b.add(kept, taken)
    }
    const all = b.concat(
      blocks.map((block) => cells.get(keyOf(block))!.cell ?? none),
      2,
    )
    state = b.mul(all, split(emits)[step]!)
    states[step] = state
  }
  const flat = (x: Value): Value => b.reshape(x, [batch, blocks.length * hidden])
  return {
    states: b.concat(states, 0),
    lastState: flat(state!),
    lastCell: flat(
      b.concat(
        blocks.map((block) => cells.get(keyOf(block))!.cell ?? none),
        2,
      ),
    ),
  }
}

/** x times a factor; undefined if that is 0. */
const scaled = (b: GraphBuilder, x: Value, factor: Factor): Value | undefined =>
  factor === 0 ? undefined : factor === 1 ? x : b.mul(x, factor)

/** The activation that leaves its input as it is. */
export const affine: RecurrentActivation = { name: 'Affine', alpha: 1, beta: 0 }

/** One direction of an LSTM whose gates the graph makes. */
export interface PlainLstm {
  /** [sequence, batch, inputs] */
  readonly x: Value
  /** [1, 4·hidden, inputs] and [1, 4·hidden, hidden] */
  readonly w: Value
  readonly r: Value
  /** Of the gates, 4·hidden numbers. */
  readonly bias: readonly number[]
  readonly lengths?: Value | undefined
  /** The cell before the first step, [1, batch, hidden]; zero if undefined. */
  readonly cell?: Value | undefined
  /** [1, 3·hidden] */
  readonly peepholes?: Value | undefined
  readonly activations: readonly RecurrentActivation[]
  readonly reverse: boolean
}

/** Emits it. @returns the states of all steps, and with three outputs the last state and cell, as ONNX shapes them */
export function emitLstm(b: GraphBuilder, lstm: PlainLstm, outputs: 1 | 3, more: Attributes = {}): Value[] {
  const { x, w, r, bias, lengths, cell, peepholes, activations, reverse } = lstm
  const both = b.constant(tensor('float32', [1, 2 * bias.length], [...bias, ...bias.map(() => 0)]))
  const attributes: Attributes = {
    ...activationAttributes(activations),
    hidden_size: int(bias.length / 4),
    direction: string(reverse ? 'reverse' : 'forward'),
    ...more,
  }
  return b.emitAll('LSTM', [x, w, r, both, lengths, undefined, cell, peepholes], attributes, { outputs })
}

function asLstm(b: GraphBuilder, blocks: readonly Block[], { reverse, lengths }: LinearOptions): LinearRecurrence {
  const columns = [
    ...new Set(
      blocks.flatMap(({ take, emit, keep, add }) => [take, emit, keep, add]).filter((v): v is Value => typeof v === 'object'),
    ),
  ]
  const [sequence, batch, hidden] = columns[0]!.shape as [Dim, Dim, number]
  const size = blocks.length * hidden
  // Gates in ONNX's order: input, output, forget, cell.
  const gates = (['take', 'emit', 'keep', 'add'] as const).map((key) => blocks.map((block) => block[key]))
  const constants = gates.flat().flatMap((factor) => Array<number>(hidden).fill(typeof factor === 'number' ? factor : 0))
  const w = selection(b, gates.flat(), columns, hidden)
  const matrix = b.transpose(
    b.concat(
      blocks.map(({ reads }) => reads),
      1,
    ),
    [1, 0],
  )
  const r = b.unsqueeze(b.concat([b.zeros([3 * size, size]), matrix], 0), [0])
  const none = b.zeros([1, batch, hidden])
  const cells = blocks.some(({ cell }) => cell !== undefined)
    ? b.concat(
        blocks.map(({ cell }) => cell ?? none),
        2,
      )
    : undefined
  const x = b.concat(columns, 2)
  const lstm = { x, w, r, bias: constants, lengths, cell: cells, activations: [affine, affine, affine], reverse }
  const [states, lastState, lastCell] = emitLstm(b, lstm, 3)
  return {
    states: b.reshape(states!, [sequence, batch, size]),
    lastState: b.reshape(lastState!, [batch, size]),
    lastCell: b.reshape(lastCell!, [batch, size]),
  }
}

/** The weight that hands each column of [.., columns·hidden] to the gates of blocks that read it: [1, gates·hidden, columns·hidden]. */
export function selection(
  b: GraphBuilder,
  readers: readonly (Factor | undefined)[],
  columns: readonly Value[],
  hidden: number,
): Value {
  const chosen = readers.flatMap((reader) => columns.map((column) => Number(column === reader)))
  const table = b.constant(tensor('float32', [readers.length, 1, columns.length, 1], chosen))
  const blocks = b.mul(table, b.reshape(identity(b, hidden), [1, hidden, 1, hidden]))
  return b.reshape(blocks, [1, readers.length * hidden, columns.length * hidden])
}
