/** @file Gradients of layer normalisation. The forward operator stays fused; the backward is primitives. */
import { UnsupportedOpError } from '../../errors.js'
import type { Value } from '../../graph/types.js'
import { float, int } from '../../graph/types.js'
import { rule, type RuleContext } from '../rule.js'

/** Axes that are normalised: `axis` and all after it. */
function normalizedAxes(c: RuleContext): number[] {
  const axis = c.axis(-1)
  return Array.from({ length: c.rank(c.input(0)) - axis }, (_, i) => axis + i)
}

function refuseStatistics(c: RuleContext): void {
  if (c.dy.slice(1).some((g) => g !== undefined))
    throw new UnsupportedOpError(`${c.where}: its statistics (outputs 1 and 2) pass no gradient, but the loss depends on them`)
}

/**
 * y = x̂·s + t with x̂ = (x − mean x)·r, r = 1/√(var x + ε), h = g·s:
 * dx = r·(h − mean h − x̂·mean(h·x̂)), ds = Σ g·x̂, dt = Σ g (Ba et al., 2016)
 */
export const layerNormalization = rule('LayerNormalization', (c) => {
  refuseStatistics(c)
  const { b, needs } = c
  const [x, scale, g] = [c.input(0), c.input(1), c.gradient()]
  if (!needs(0) && !needs(1)) return [null, null, g]
  const axes = normalizedAxes(c)
  // The operator itself gives x̂ and r in one pass over memory.
  const attributes = { axis: int(axes[0]!), epsilon: float(c.float('epsilon', 1e-5)) }
  const ones = b.full(c.shape(scale), 1, x.dtype)
  const [normal, , r] = b.emitAll('LayerNormalization', [x, ones], attributes, { outputs: 3 }) as [Value, Value, Value]
  const gradientX = (): Value => {
    const h = b.mul(g, scale)
    const along = b.mul(normal, b.reduceMean(b.mul(h, normal), axes))
    return b.mul(b.sub(h, b.add(along, b.reduceMean(h, axes))), r)
  }
  return [needs(0) && gradientX(), needs(1) && b.mul(g, normal), needs(2) && g]
})

/**
 * y = x̂·s with x̂ = x·r, r = 1/√(mean x² + ε), h = g·s:
 * dx = r·(h − x̂·mean(h·x̂)) = r·h − x·(r²·mean(g·y)), ds = Σ g·x̂ (Zhang and Sennrich, 2019)
 */
export const simplifiedLayerNormalization = rule('SimplifiedLayerNormalization', (c) => {
  refuseStatistics(c)
  const { b, needs } = c
  const [x, scale, y, g] = [c.input(0), c.input(1), c.y[0]!, c.gradient()]
  const axes = normalizedAxes(c)
  const r = c.y[1] ?? b.reciprocal(b.sqrt(b.add(b.reduceMean(b.mul(x, x), axes), c.float('epsilon', 1e-5))))
  const gradientX = (): Value => {
    const perX = b.mul(b.mul(r, r), b.reduceMean(b.mul(g, y), axes))
    return b.sub(b.mul(b.mul(g, scale), r), b.mul(x, perX))
  }
  return [needs(0) && gradientX(), needs(1) && b.mul(g, b.mul(x, r))]
})
