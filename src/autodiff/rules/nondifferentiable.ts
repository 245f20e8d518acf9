import type { GradientRule } from '../rule.js'
export const nondifferentiable: readonly GradientRule[] = []
