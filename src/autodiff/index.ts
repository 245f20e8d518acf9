/** @file Public surface of `lowrank/autodiff`: differentiate a graph, declare a rule. */
export { differentiate, type Differentiated, type DifferentiateOptions } from './differentiate.js'
export { noGradient, rule, RuleContext, type GradientFunction, type GradientRule, type InputGradient } from './rule.js'
export { builtinRules } from './registry.js'
