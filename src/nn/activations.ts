/** @file Modules without parameters: activations, dropout, flattening. */
import { InvalidOptionError } from '../errors.js'
import { productOfDims } from '../graph/shapes.js'
import type { Value } from '../graph/types.js'
import { activationNamed } from '../models/activations.js'
import type { ForwardBuilder } from './forward-builder.js'
import { Module } from './module.js'

const silu = activationNamed('silu', 'nn')

/** max(x, 0) */
export class ReLU extends Module {
  override forward(b: ForwardBuilder, x: Value): Value {
    return b.relu(x)
  }
}

/** x·Φ(x), exact or by tanh (Hendrycks and Gimpel, 2016). */
export class GELU extends Module {
  /** The exact function, or its approximation. */
  constructor(
    /** `none`: exact. `tanh`: the approximation that GPT-2 uses. */
    readonly approximate: 'none' | 'tanh' = 'none',
  ) {
    super()
  }

  override forward(b: ForwardBuilder, x: Value): Value {
    return b.gelu(x, this.approximate)
  }
}

/** x·σ(x) */
export class SiLU extends Module {
  override forward(b: ForwardBuilder, x: Value): Value {
    return silu(b, x)
  }
}

/** The hyperbolic tangent. */
export class Tanh extends Module {
  override forward(b: ForwardBuilder, x: Value): Value {
    return b.tanh(x)
  }
}

/** 1 / (1 + e^(−x)) */
export class Sigmoid extends Module {
  override forward(b: ForwardBuilder, x: Value): Value {
    return b.sigmoid(x)
  }
}

/** Zeroes each element with probability `p` while training and scales the rest by 1/(1 − p). */
export class Dropout extends Module {
  /** @throws InvalidOptionError for a probability outside of [0, 1) */
  constructor(
    /** Probability of a zero. */
    readonly p = 0.5,
  ) {
    super()
    if (!(p >= 0 && p < 1)) throw new InvalidOptionError(`Dropout: p must lie in [0, 1), got ${p}`)
  }

  override forward(b: ForwardBuilder, x: Value): Value {
    return this.training ? b.dropout(x, this.p) : x
  }
}

/** [batch, ..rest] to [batch, product of the rest]. */
export class Flatten extends Module {
  override forward(b: ForwardBuilder, x: Value): Value {
    return b.reshape(x, [x.shape![0]!, productOfDims(x.shape!.slice(1))])
  }
}
