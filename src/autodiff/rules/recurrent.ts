/**
 * @file Gradients of LSTM, GRU and RNN.
 *
 * The states of all steps are known, so the gates of all steps are recomputed at once, and so are the gradients of weights.
 * Only how the gradient of a state goes back from step to step is a recurrence: a linear one, see `linearRecurrence`.
 * Shapes: [T, B, H] are steps, rows of the batch, hidden size.
 */
import { UnsupportedOpError } from '../../errors.js'
import type { GraphBuilder } from '../../graph/builder.js'
import { gateCount, readRecurrence, type Recurrence, type RecurrentDirection } from '../../graph/recurrent.js'
import { productOfDims } from '../../graph/shapes.js'
import { float, int, type Dim, type Value } from '../../graph/types.js'
import { identity } from '../place.js'
import { affine, emitLstm, linearRecurrence, selection, Steps } from '../recurrence.js'
import { activate, farFromZero } from '../recurrent-activations.js'
import { rule, type InputGradient, type RuleContext } from '../rule.js'

/** One direction of a layer. */
interface Direction extends RecurrentDirection {
  readonly b: GraphBuilder
  readonly layer: Recurrence
  readonly steps: Steps
  readonly lengths: Value | undefined
  readonly size: { readonly sequence: Dim; readonly batch: Dim; readonly input: Dim; readonly hidden: number }
  /** X as a matrix, [T·B, I]. */
  readonly x: Value
  /** [G·H, I] and [G·H, H] */
  readonly w: Value
  readonly r: Value
  /** Biases of the input and of the state, [G·H]. */
  readonly wb: Value | undefined
  readonly rb: Value | undefined
  /** Weights of the cell in the gates: input, output, forget, [H]. */
  readonly peepholes: readonly [Value, Value, Value] | undefined
  readonly initialH: Value
  readonly initialC: Value
  /** States before each step, [T, B, H]. */
  readonly before: Value
  /** Gradients of the states, [T, B, H], that of the last one among them. */
  readonly dy: Value
  /** Gradient of the last cell, [1, B, H]. */
  readonly dLastC: Value | undefined
}

/** Gradients of one direction. */
interface Gradients {
  /** Of what the input and the state add to the gates, [T, B, G·H]. */
  readonly fromInput: Value
  readonly fromState: Value
  /** Gradient of R where it is not that of a plain product with the state, [G·H, H]. */
  readonly r?: Value
  /** [1, B, H] */
  readonly initialH: () => Value
  readonly initialC?: () => Value
  /** [3·H] */
  readonly peepholes?: () => Value
}

const INPUT = { x: 0, w: 1, r: 2, b: 3, lengths: 4, h: 5, c: 6, p: 7 } as const

/** The part of a tensor that belongs to a direction, without that axis. */
function ofDirection(b: GraphBuilder, x: Value, axis: number, index: number): Value {
  return b.squeeze(x.shape![axis] === 1 ? x : b.slice(x, axis, index, index + 1), [axis])
}

function directionOf(c: RuleContext, layer: Recurrence, index: number): Direction {
  const { b } = c
  const direction = layer.directions[index]!
  const [sequence, batch, input] = c.shape(c.input(INPUT.x)) as [Dim, Dim, Dim]
  const hidden = c.shape(c.input(INPUT.r))[2] as number
  const part = (at: number): Value | undefined => c.x[at] && ofDirection(b, c.x[at], 0, index)
  const state = (at: number): Value => (c.x[at] === undefined ? b.zeros([1, batch, hidden]) : b.unsqueeze(part(at)!, [0]))
  const lengths = c.x[INPUT.lengths]
  const steps = new Steps(b, [sequence, batch, hidden], direction.reverse, lengths)
  // A graph that was not lowered may leave out the states of all steps.
  const y = c.y[0] ?? b.emit(layer.op, c.x, c.node.attributes)
  const states = ofDirection(b, y, 1, index)
  const gradient = (at: number, axis: number): Value | undefined => c.dy[at] && ofDirection(b, c.dy[at], axis, index)
  const [dStates, dLastH, dLastC] = [gradient(0, 1), gradient(1, 0), gradient(2, 0)]
  const last = dLastH && steps.atLast(b.unsqueeze(dLastH, [0]))
  const both = dStates && last ? b.add(dStates, last) : (dStates ?? last)
  const bias = part(INPUT.b)
  const [wb, rb] = bias === undefined ? [] : b.splitEvenly(bias, 2, gateCount[layer.op] * hidden, 0)
  const p = layer.op === 'LSTM' ? part(INPUT.p) : undefined
  const initialH = state(INPUT.h)
  return {
    ...direction,
    b,
    layer,
    steps,
    lengths,
    size: { sequence, batch, input, hidden },
    x: b.reshape(c.input(INPUT.x), [productOfDims([sequence, batch]), input]),
    w: part(INPUT.w)!,
    r: part(INPUT.r)!,
    wb,
    rb,
    peepholes: p && (b.splitEvenly(p, 3, hidden, 0) as [Value, Value, Value]),
    initialH,
    initialC: layer.op === 'LSTM' ? state(INPUT.c) : initialH,
    before: steps.before(states, initialH),
    dy: both ?? b.zeros([sequence, batch, hidden]),
    dLastC: dLastC && b.unsqueeze(dLastC, [0]),
  }
}

/** Rows of matrices of gates, [G·H, ..], gate by gate. */
const rowsByGate = ({ b, size }: Direction, x: Value): Value[] => {
  return b.splitEvenly(x, (x.shape![0] as number) / size.hidden, size.hidden, 0)
}

/** [T, B, H] as a matrix, [T·B, H]. */
const flat = ({ b, size }: Direction, x: Value): Value =>
  b.reshape(x, [productOfDims([size.sequence, size.batch]), x.shape!.at(-1)!])

/** A matrix of gates [T·B, G·H], gate by gate as [T, B, H]. */
function byGate({ b, size }: Direction, x: Value, count: number): Value[] {
  const { sequence, batch, hidden } = size
  return b.splitEvenly(b.reshape(x, [sequence, batch, count * hidden]), count, hidden, 2)
}

/** What a state brings to the gradient of the state before: [B, G·H] times R. */
const throughState = ({ b, r, size }: Direction, gradient: Value): Value =>
  b.reshape(b.gemm(gradient, r), [1, size.batch, size.hidden])

/** h = f(z), z = W·x + R·h′ + b. So dz = f′(z)·(dh + Rᵀ·dz of the step after). */
function rnn(d: Direction): Gradients {
  const { b, layer, steps } = d
  const sum = b.gemm(flat(d, d.before), d.r, { c: b.gemm(d.x, d.w, { c: d.wb, transB: true }), transB: true })
  const z = d.rb === undefined ? sum : b.add(sum, d.rb)
  const { slope } = activate(b, byGate(d, z, 1)[0]!, d.activations[0]!, layer.clip)
  const { states, lastState } = linearRecurrence(b, [{ keep: 0, take: 1, emit: slope, add: d.dy, reads: d.r }], {
    reverse: !steps.reverse,
    lengths: d.lengths,
  })
  return { fromInput: states, fromState: states, initialH: () => throughState(d, lastState) }
}

/**
 * The cells of all steps, which the operator keeps to itself. The gates are known, so they are the layer's own recurrence
 * without R; its output is f(z)·c with an output gate that is one and the same number.
 * @param z what the gates input, forget and cell read, without the cell
 */
function cellsOf(
  { b, layer, activations, steps, peepholes, size, initialC, lengths }: Direction,
  z: readonly [Value, Value, Value],
): Value {
  const { sequence, batch, hidden } = size
  const [f, g] = activations
  const gate = farFromZero(f!, layer.clip)
  const r = b.zeros([1, 4 * hidden, hidden])
  const bias = Array.from({ length: 4 * hidden }, (_, i) => (i >= hidden && i < 2 * hidden ? gate.z : 0))
  const p = peepholes && b.unsqueeze(b.concat([peepholes[0], b.zeros([hidden]), peepholes[2]], 0), [0])
  const [input, forget, cell] = z
  const w = selection(b, [input, undefined, forget, cell], z, hidden)
  const [y] = emitLstm(
    b,
    {
      x: b.concat(z, 2),
      w,
      r,
      bias,
      lengths,
      cell: initialC,
      peepholes: p,
      activations: [f!, g!, affine],
      reverse: steps.reverse,
    },
    1,
    {
      ...(layer.clip !== undefined && { clip: float(layer.clip) }),
      ...(layer.inputForget && { input_forget: int(1) }),
    },
  )
  return b.div(b.reshape(y!, [sequence, batch, hidden]), gate.value)
}

/**
 * Gates in ONNX's order i, o, f, c; P is the peephole of each, c′ the cell before:
 * i = f(zᵢ + Pᵢ·c′), f likewise (or 1 − i), g = g(z_c), c = f·c′ + i·g, o = f(z_o + P_o·c), h = o·h(c).
 *
 * With dh = dy + Rᵀ·dz of the step after and dc = dh·(o·h′(c) + P_o·α) + (what the step after kept), where α = h(c)·o′:
 * dzₒ = α·dh, dzᵢ = (g − c′ if i is also 1 − f)·i′·dc = ι·dc, dz_f = c′·f′·dc = ψ·dc, dz_c = i·g′·dc = κ·dc,
 * and of dc the step before gets dc·(f + Pᵢ·ι + P_f·ψ).
 */
function lstm(d: Direction): Gradients {
  const { b, layer, activations, steps, peepholes, size } = d
  const { clip, inputForget } = layer
  const [f, g, h] = activations
  const sum = b.gemm(flat(d, d.before), d.r, { c: b.gemm(d.x, d.w, { c: d.wb, transB: true }), transB: true })
  const [zi, zo, zf, zc] = byGate(d, d.rb === undefined ? sum : b.add(sum, d.rb), 4) as [Value, Value, Value, Value]
  const cells = cellsOf(d, [zi, zf, zc])
  const cellsBefore = steps.before(cells, d.initialC)
  const peek = (z: Value, gate: number, c: Value): Value => (peepholes === undefined ? z : b.add(z, b.mul(c, peepholes[gate]!)))
  const i = activate(b, peek(zi, 0, cellsBefore), f!, clip)
  const o = activate(b, peek(zo, 1, cells), f!, clip)
  const forget = inputForget ? undefined : activate(b, peek(zf, 2, cellsBefore), f!, clip)
  const candidate = activate(b, zc, g!, clip)
  const out = activate(b, cells, h!, undefined)

  const alpha = b.mul(out.value, o.slope)
  const straight = b.mul(o.value, out.slope)
  const beta = peepholes === undefined ? straight : b.add(straight, b.mul(alpha, peepholes[1]))
  const iota = b.mul(inputForget ? b.sub(candidate.value, cellsBefore) : candidate.value, i.slope)
  const psi = forget && b.mul(cellsBefore, forget.slope)
  const kappa = b.mul(i.value, candidate.slope)
  const kept = [
    forget?.value ?? b.sub(1, i.value),
    ...(peepholes === undefined ? [] : [b.mul(iota, peepholes[0]), ...(psi === undefined ? [] : [b.mul(psi, peepholes[2])])]),
  ].reduce(b.add)

  // What reaches the last cell from outside is kept whole.
  const one = b.full([1, size.batch, size.hidden], 1)
  const cell = { keep: steps.after(kept, one), take: beta, add: d.dy, reads: d.r, cell: d.dLastC }
  const blocks = [
    { ...cell, emit: iota },
    { keep: 0, take: 1, emit: alpha, add: d.dy, reads: d.r },
    { ...cell, emit: psi ?? 0 },
    { ...cell, emit: kappa },
  ]
  const { states, lastState, lastCell } = linearRecurrence(b, blocks, {
    reverse: !steps.reverse,
    lengths: d.lengths,
  })
  const sumOver = (x: Value): Value => b.reduceSum(x, [0, 1], false)
  return {
    fromInput: states,
    fromState: states,
    initialH: () => throughState(d, lastState),
    initialC: () => {
      const dc = b.slice(lastCell, 1, 0, size.hidden)
      return b.mul(steps.first(kept), b.reshape(dc, [1, size.batch, size.hidden]))
    },
    peepholes: () => {
      const [dzi, dzo, dzf] = byGate(d, flat(d, states), 4) as [Value, Value, Value]
      return b.concat([sumOver(b.mul(dzi, cellsBefore)), sumOver(b.mul(dzo, cells)), sumOver(b.mul(dzf, cellsBefore))], 0)
    },
  }
}

/**
 * Gates z, r, h: z = f(W·x + R·h′ + b), r likewise, n = g(Wₕ·x + wb + r·(Rₕ·h′ + rb)), h = (1 − z)·n + z·h′; where
 * `linear_before_reset` is 0, n = g(Wₕ·x + wb + rb + Rₕ·(r·h′)).
 */
function gru(d: Direction): Gradients {
  const { b, activations, layer } = d
  const [f, g] = activations
  const [rz, rr, rh] = rowsByGate(d, d.r) as [Value, Value, Value]
  const biases = d.rb && rowsByGate(d, d.rb)
  const fromX = byGate(d, b.gemm(d.x, d.w, { c: d.wb, transB: true }), 3)
  const before = flat(d, d.before)
  const fromH = (matrix: Value, states: Value, gate: number): Value =>
    byGate(d, b.gemm(states, matrix, { c: biases?.[gate], transB: true }), 1)[0]!
  const z = activate(b, b.add(fromX[0]!, fromH(rz, before, 0)), f!, layer.clip)
  const r = activate(b, b.add(fromX[1]!, fromH(rr, before, 1)), f!, layer.clip)
  const scaled = b.mul(r.value, d.before)
  const q = layer.linearBeforeReset ? fromH(rh, before, 2) : fromH(rh, flat(d, scaled), 2)
  const n = activate(b, b.add(fromX[2]!, layer.linearBeforeReset ? b.mul(r.value, q) : q), g!, layer.clip)
  const dz = b.mul(b.sub(d.before, n.value), z.slope)
  const dn = b.mul(b.sub(1, z.value), n.slope)
  return layer.linearBeforeReset
    ? gruReset(d, { z: z.value, dz, dn, dr: b.mul(q, r.slope), r: r.value })
    : gruEarlyReset(d, { z: z.value, dz, dn, dr: b.mul(d.before, r.slope), r: r.value, scaled, matrices: [rz, rr, rh] })
}

/** Slopes of a step: of the gate z and of n by h, of the gate r by what it scales; and the values of the gates. */
interface GruSlopes {
  readonly z: Value
  readonly r: Value
  readonly dz: Value
  readonly dn: Value
  readonly dr: Value
}

/** Everything is a multiple of dh = dy + z·dh + Rᵀ·(dz, dr, dn·r), the last two of the step after. */
function gruReset(d: Direction, { z, r, dz, dn, dr }: GruSlopes): Gradients {
  const { b, steps, size } = d
  const none = b.zeros([1, size.batch, size.hidden])
  const reads = b.concat([d.r, b.zeros([size.hidden, size.hidden])], 0)
  const state = { keep: steps.after(z, none), take: 1, add: d.dy, reads }
  const blocks = [dz, b.mul(dn, dr), b.mul(dn, r), dn].map((emit) => ({ ...state, emit }))
  const { states, lastState, lastCell } = linearRecurrence(b, blocks, { reverse: !steps.reverse, lengths: d.lengths })
  const [gz, gr, gq, gn] = byGate(d, flat(d, states), 4) as [Value, Value, Value, Value]
  return {
    fromInput: b.concat([gz, gr, gn], 2),
    fromState: b.concat([gz, gr, gq], 2),
    initialH: () => {
      const [kept, passed] = [b.slice(lastCell, 1, 0, size.hidden), b.slice(lastState, 1, 0, 3 * size.hidden)]
      return b.add(b.mul(steps.first(z), b.reshape(kept, [1, size.batch, size.hidden])), throughState(d, passed))
    },
  }
}

/**
 * Two products follow one another in a step, v = Rₕᵀ·dn and Rᵣᵀ·(v·h′·r′): so each step is two of the recurrence. At its first
 * half the state is dh, of which dn goes on; at its second v comes in, and dz, dr and r·v go on to the step before.
 */
function gruEarlyReset(
  d: Direction,
  {
    z,
    r,
    dz,
    dn,
    dr,
    scaled,
    matrices: [rz, rr, rh],
  }: GruSlopes & { readonly scaled: Value; readonly matrices: readonly [Value, Value, Value] },
): Gradients {
  const { b, steps, size } = d
  const { sequence, batch, hidden } = size
  const none = b.zeros([1, batch, hidden])
  const shape = [sequence, batch, hidden]
  const [zeros, ones] = [b.zeros(shape), b.full(shape, 1)]
  // The gradient goes from the last step to the first: where the layer goes forward, the first half stands behind.
  const halves = (first: Value, second: Value): Value => {
    const pair = (steps.reverse ? [first, second] : [second, first]).map((x) => b.unsqueeze(x, [1]))
    return b.reshape(b.emit('Concat', pair, { axis: int(1) }), [productOfDims([2, sequence]), batch, hidden])
  }
  const [inFirst, inSecond] = [halves(ones, zeros), halves(zeros, ones)]
  const nothing = b.zeros([hidden, hidden])
  const add = halves(d.dy, zeros)
  const state = {
    keep: halves(steps.after(z, none), ones),
    take: inFirst,
    add,
    reads: b.concat([rz, nothing, rr, identity(b, hidden)], 0),
  }
  const product = { keep: 0, take: inSecond, add, reads: b.concat([nothing, rh, nothing, nothing], 0) }
  const blocks = [
    { ...state, emit: halves(zeros, dz) },
    { ...state, emit: halves(dn, zeros) },
    { ...product, emit: halves(zeros, dr) },
    { ...product, emit: halves(zeros, r) },
  ]
  const lengths = d.lengths && b.mul(d.lengths, b.scalar(2, d.lengths.dtype))
  const { states, lastState, lastCell } = linearRecurrence(b, blocks, { reverse: !steps.reverse, lengths })
  const pairs = b.reshape(states, [sequence, 2, batch, 4 * hidden])
  const half = (index: number): Value => b.squeeze(b.slice(pairs, 1, index, index + 1), [1])
  const [first, second] = steps.reverse ? [half(0), half(1)] : [half(1), half(0)]
  const gn = b.splitEvenly(first, 4, hidden, 2)[1]!
  const [gz, , gr] = b.splitEvenly(second, 4, hidden, 2) as [Value, Value, Value]
  const all = b.concat([gz, gr, gn], 2)
  const gates = b.concat([gz, gr], 2)
  const matrix = (gradient: Value, by: Value): Value => b.gemm(flat(d, gradient), flat(d, by), { transA: true })
  return {
    fromInput: all,
    fromState: all,
    r: b.concat([matrix(gates, d.before), matrix(gn, scaled)], 0),
    initialH: () => {
      const [lastZ, , lastR, lastV] = b.splitEvenly(lastState, 4, hidden, 1) as [Value, Value, Value, Value]
      const kept = b.mul(b.squeeze(steps.first(z), [0]), b.slice(lastCell, 1, 0, hidden))
      const sum = [kept, b.gemm(lastZ, rz), b.gemm(lastR, rr), lastV].reduce(b.add)
      return b.reshape(sum, [1, batch, hidden])
    },
  }
}

const gradientsOf = { LSTM: lstm, GRU: gru, RNN: rnn } as const

/** All directions: dW = dzᵀ·X, dR = dzᵀ·h′, dX = dz·W, and the sums of dz for the biases. */
function recurrent(c: RuleContext): readonly InputGradient[] {
  const { b } = c
  const layer = readRecurrence(c.node)
  if (layer.batchFirst)
    throw new UnsupportedOpError(`${c.where}: layout 1 has no gradient of its own; lower the graph before it is differentiated`)
  const parts = layer.directions.map((_, index) => {
    const d = directionOf(c, layer, index)
    const g = gradientsOf[layer.op](d)
    const [fromInput, fromState] = [flat(d, g.fromInput), flat(d, g.fromState)]
    const when = (input: number, make: () => Value): Value | undefined => (c.needs(input) ? b.unsqueeze(make(), [0]) : undefined)
    const state = (input: number, make: () => Value): Value | undefined => (c.needs(input) ? make() : undefined)
    return {
      x: c.needs(INPUT.x) ? b.reshape(b.gemm(fromInput, d.w), c.shape(c.input(INPUT.x))) : undefined,
      w: when(INPUT.w, () => b.gemm(fromInput, d.x, { transA: true })),
      r: when(INPUT.r, () => g.r ?? b.gemm(fromState, flat(d, d.before), { transA: true })),
      b: when(INPUT.b, () => b.concat([b.reduceSum(fromInput, [0], false), b.reduceSum(fromState, [0], false)], 0)),
      h: state(INPUT.h, g.initialH),
      c: g.initialC && state(INPUT.c, g.initialC),
      p: g.peepholes && when(INPUT.p, g.peepholes),
    }
  })
  const stacked = (key: 'w' | 'r' | 'b' | 'h' | 'c' | 'p'): InputGradient => {
    const values = parts.flatMap((part) => part[key] ?? [])
    return values.length === 0 ? null : b.concat(values, 0)
  }
  const dx = parts.flatMap(({ x }) => x ?? [])
  return [
    dx.length === 0 ? null : dx.reduce(b.add),
    stacked('w'),
    stacked('r'),
    stacked('b'),
    null,
    stacked('h'),
    ...(layer.op === 'LSTM' ? [stacked('c'), stacked('p')] : []),
  ]
}

export const lstmRule = rule('LSTM', recurrent)
export const gruRule = rule('GRU', recurrent)
export const rnnRule = rule('RNN', recurrent)
