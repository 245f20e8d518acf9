/** @file Products of tensors in any arrangement as MatMul and Gemm. */
import { ShapeError, UnsupportedOpError } from '../errors.js'
import type { GraphBuilder } from '../graph/builder.js'
import { productOfDims } from '../graph/shapes.js'
import type { Dim, Value } from '../graph/types.js'
import { activate } from './activate.js'
import type { LowerContext, LoweringTable } from './context.js'

/** A tensor whose axes have letters. */
interface Term {
  readonly x: Value
  readonly labels: readonly string[]
}

/** Letters of one operand; `...` stands for as many axes as are left, counted from the last. */
function labelsOf(c: LowerContext, text: string, rank: number): string[] {
  const [before, after, ...more] = text.split('...') as [string, string?, ...string[]]
  if (more.length > 0 || !/^[A-Za-z]*$/.test(before + (after ?? ''))) throw new ShapeError(`${c.where}: "${text}" is no equation`)
  const open = rank - before.length - (after?.length ?? 0)
  if (after === undefined ? open !== 0 : open < 0)
    throw new ShapeError(`${c.where}: "${text}" does not fit a tensor of rank ${rank}`)
  return [...before, ...Array.from({ length: open }, (_, i) => `.${open - 1 - i}`), ...(after ?? '')]
}

/** The sum over axes that nothing else has. */
function summed(b: GraphBuilder, { x, labels }: Term, keep: ReadonlySet<string>): Term {
  const axes = labels.flatMap((label, i) => (keep.has(label) ? [] : [i]))
  return axes.length === 0 ? { x, labels } : { x: b.reduceSum(x, axes, false), labels: labels.filter((l) => keep.has(l)) }
}

const ordered = (b: GraphBuilder, { x, labels }: Term, order: readonly string[]): Value =>
  b.transpose(
    x,
    order.map((label) => labels.indexOf(label)),
  )

/** Two terms as one batched product: shared letters that are still needed are the batch, the others are summed over. */
function product(b: GraphBuilder, u: Term, v: Term, keep: ReadonlySet<string>): Term {
  const shared = u.labels.filter((label) => v.labels.includes(label))
  const batch = shared.filter((label) => keep.has(label))
  const inner = shared.filter((label) => !keep.has(label))
  const [rows, columns] = [u, v].map(({ labels }) => labels.filter((label) => !shared.includes(label))) as [string[], string[]]
  const dims = new Map<string, Dim>()
  for (const { x, labels } of [v, u]) labels.forEach((label, i) => dims.set(label, x.shape![i]!))
  const size = (labels: readonly string[]): Dim => productOfDims(labels.map((label) => dims.get(label)!))
  const shapeOf = (labels: readonly string[]): Dim[] => labels.map((label) => dims.get(label)!)
  const lead = batch.length === 0 ? [] : [size(batch)]
  const left = b.reshape(ordered(b, u, [...batch, ...rows, ...inner]), [...lead, size(rows), size(inner)])
  const right = b.reshape(ordered(b, v, [...batch, ...inner, ...columns]), [...lead, size(inner), size(columns)])
  const labels = [...batch, ...rows, ...columns]
  return { x: b.reshape(b.matmul(left, right), shapeOf(labels)), labels }
}

function einsum(c: LowerContext): Value {
  const { b } = c
  const equation = c.string('equation', '').replaceAll(' ', '')
  const [left, right] = equation.split('->') as [string, string?]
  const texts = left.split(',')
  if (texts.length !== c.node.inputs.length)
    throw new ShapeError(`${c.where}: "${equation}" has ${texts.length} operands, ${c.node.inputs.length} are given`)
  let terms = texts.map((text, i): Term => ({ x: c.input(i), labels: labelsOf(c, text, c.rank(i)) }))
  if (terms.some(({ labels }) => new Set(labels).size < labels.length))
    throw new UnsupportedOpError(`${c.where}: "${equation}" takes a diagonal; write it as a product with an identity matrix`)
  const all = terms.flatMap(({ labels }) => labels)
  const unique = [...new Set(all)]
  const dots = unique.filter((l) => l.startsWith('.')).sort((m, n) => Number(n.slice(1)) - Number(m.slice(1)))
  // Without an arrow: dots first, then letters that occur once, in alphabetical order.
  const result =
    right === undefined
      ? [...dots, ...unique.filter((l) => !l.startsWith('.') && all.filter((m) => m === l).length === 1).sort()]
      : right.split('...').flatMap((part, i) => [...(i > 0 ? dots : []), ...part])
  // A length of 1 beside a longer one is broadcast: as if the axis were not there.
  terms = terms.map(({ x, labels }, i) => {
    const single = labels.flatMap((label, axis) => {
      const longer = terms.some((t, j) => j !== i && t.labels.includes(label) && t.x.shape![t.labels.indexOf(label)] !== 1)
      return x.shape![axis] === 1 && longer ? [axis] : []
    })
    return single.length === 0
      ? { x, labels }
      : { x: b.squeeze(x, single), labels: labels.filter((_, axis) => !single.includes(axis)) }
  })
  while (terms.length > 1) {
    const [u, v, ...rest] = terms as [Term, Term, ...Term[]]
    const later = new Set([...result, ...rest.flatMap(({ labels }) => labels)])
    const needed = (other: Term): Set<string> => new Set([...later, ...other.labels])
    terms = [product(b, summed(b, u, needed(v)), summed(b, v, needed(u)), later), ...rest]
  }
  const last = summed(b, terms[0]!, new Set(result))
  return ordered(b, last, result)
}

/** The first axis moves behind the batch: [m, ...batch, k] to [...batch, m, k]. */
function batchFirst(c: LowerContext, index: number, attribute: string): Value {
  const x = c.input(index)
  if (c.int(attribute, 0) === 0) return x
  const rank = c.rank(index)
  return c.b.transpose(x, [...Array.from({ length: rank - 2 }, (_, i) => i + 1), 0, rank - 1])
}

function fusedMatMul(c: LowerContext): Value | undefined {
  const plain = c.int('transBatchA', 0) === 0 && c.int('transBatchB', 0) === 0 && c.node.op === 'FusedMatMul'
  if (plain) return undefined
  return c.b.matmul(batchFirst(c, 0, 'transBatchA'), batchFirst(c, 1, 'transBatchB'), {
    transA: c.int('transA', 0) === 1,
    transB: c.int('transB', 0) === 1,
    alpha: c.float('alpha', 1),
  })
}

export const matrixLowerings: LoweringTable = {
  Einsum: einsum,
  'com.microsoft.FusedMatMul': fusedMatMul,
  /** The name that FusedMatMul had. */
  'com.microsoft.TransposeMatMul': fusedMatMul,
  'com.microsoft.FusedGemm': (c) => {
    const y = c.b.gemm(c.input(0), c.input(1), {
      c: c.optional(2),
      transA: c.int('transA', 0) === 1,
      transB: c.int('transB', 0) === 1,
      alpha: c.float('alpha', 1),
      beta: c.float('beta', 1),
    })
    return activate(c, y, c.string('activation', ''), [c.float('activation_alpha', 0.01), c.float('activation_beta', 0)])
  },
}
