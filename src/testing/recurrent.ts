/** @file LSTM, GRU and RNN as the ONNX specification states them, in plain loops over float64 numbers. */
import type { Recurrence, RecurrentActivation } from '../graph/recurrent.js'

/** Inputs of a layer, row-major, in ONNX's shapes with sequence first. */
export interface RecurrentInputs {
  readonly x: readonly number[]
  readonly w: readonly number[]
  readonly r: readonly number[]
  readonly b?: readonly number[] | undefined
  readonly lengths?: readonly number[] | undefined
  readonly h?: readonly number[] | undefined
  readonly c?: readonly number[] | undefined
  readonly p?: readonly number[] | undefined
}

export interface RecurrentSizes {
  readonly sequence: number
  readonly batch: number
  readonly input: number
  readonly hidden: number
}

const functions: Readonly<Record<string, (z: number, alpha: number, beta: number) => number>> = {
  Affine: (z, a, b) => a * z + b,
  Relu: (z) => (z > 0 ? z : 0),
  LeakyRelu: (z, a) => (z < 0 ? a * z : z),
  ThresholdedRelu: (z, a) => (z > a ? z : 0),
  Tanh: (z) => Math.tanh(z),
  ScaledTanh: (z, a, b) => a * Math.tanh(b * z),
  Sigmoid: (z) => 1 / (1 + Math.exp(-z)),
  HardSigmoid: (z, a, b) => (a * z + b < 0 ? 0 : a * z + b > 1 ? 1 : a * z + b),
  Elu: (z, a) => (z < 0 ? a * (Math.exp(z) - 1) : z),
  Softsign: (z) => z / (1 + Math.abs(z)),
  Softplus: (z) => Math.log(1 + Math.exp(z)),
}

const apply = ({ name, alpha, beta }: RecurrentActivation, z: number): number => functions[name]!(z, alpha, beta)

/** Y [sequence, directions, batch, hidden], Y_h and Y_c [directions, batch, hidden]. */
export function runRecurrence(layer: Recurrence, inputs: RecurrentInputs, sizes: RecurrentSizes): [number[], number[], number[]] {
  const { sequence, batch, input, hidden } = sizes
  const count = layer.directions.length
  const gates = { LSTM: 4, GRU: 3, RNN: 1 }[layer.op]
  const y = Array<number>(sequence * count * batch * hidden).fill(0)
  const [lastH, lastC] = [Array<number>(count * batch * hidden).fill(0), Array<number>(count * batch * hidden).fill(0)]
  const clip = layer.clip ?? Infinity
  const bound = (z: number): number => Math.min(Math.max(z, -clip), clip)
  layer.directions.forEach(({ reverse, activations: [f, g, last] }, d) => {
    const wx = (gate: number, j: number, t: number, row: number): number => {
      let sum = inputs.b?.[(d * 2 * gates + gate) * hidden + j] ?? 0
      for (let k = 0; k < input; k++)
        sum += inputs.w[((d * gates + gate) * hidden + j) * input + k]! * inputs.x[(t * batch + row) * input + k]!
      return sum
    }
    const rb = (gate: number, j: number): number => inputs.b?.[(d * 2 * gates + gates + gate) * hidden + j] ?? 0
    const rh = (gate: number, j: number, h: readonly number[]): number =>
      h.reduce((sum, v, k) => sum + v * inputs.r[((d * gates + gate) * hidden + j) * hidden + k]!, 0)
    const peephole = (gate: number, j: number): number => inputs.p?.[(d * 3 + gate) * hidden + j] ?? 0
    for (let row = 0; row < batch; row++) {
      const at = (d * batch + row) * hidden
      const initial = (state: readonly number[] | undefined): number[] =>
        Array.from({ length: hidden }, (_, j) => state?.[at + j] ?? 0)
      let h = initial(inputs.h)
      let c = initial(inputs.c)
      const steps = inputs.lengths?.[row] ?? sequence
      for (let s = 0; s < steps; s++) {
        const t = reverse ? steps - 1 - s : s
        const z = (gate: number, j: number): number => wx(gate, j, t, row) + rb(gate, j) + rh(gate, j, h)
        const each = (make: (j: number) => number): number[] => h.map((_, j) => make(j))
        const before = h
        if (layer.op === 'RNN') h = each((j) => apply(f!, bound(z(0, j))))
        else if (layer.op === 'GRU') {
          const update = each((j) => apply(f!, bound(z(0, j))))
          const reset = each((j) => apply(f!, bound(z(1, j))))
          const scaled = before.map((v, k) => v * reset[k]!)
          const fresh = each((j) =>
            apply(
              g!,
              bound(
                wx(2, j, t, row) +
                  (layer.linearBeforeReset ? reset[j]! * (rh(2, j, before) + rb(2, j)) : rh(2, j, scaled) + rb(2, j)),
              ),
            ),
          )
          h = each((j) => (1 - update[j]!) * fresh[j]! + update[j]! * before[j]!)
        } else {
          const old = c
          const i = each((j) => apply(f!, bound(z(0, j) + peephole(0, j) * old[j]!)))
          const forget = each((j) => (layer.inputForget ? 1 - i[j]! : apply(f!, bound(z(2, j) + peephole(2, j) * old[j]!))))
          const fresh = each((j) => apply(g!, bound(z(3, j))))
          c = each((j) => forget[j]! * old[j]! + i[j]! * fresh[j]!)
          const cell = c
          const o = each((j) => apply(f!, bound(z(1, j) + peephole(1, j) * cell[j]!)))
          h = each((j) => o[j]! * apply(last!, cell[j]!))
        }
        h.forEach((v, j) => (y[((t * count + d) * batch + row) * hidden + j] = v))
      }
      h.forEach((v, j) => (lastH[at + j] = steps === 0 ? 0 : v))
      c.forEach((v, j) => (lastC[at + j] = steps === 0 ? 0 : v))
    }
  })
  return [y, lastH, lastC]
}
