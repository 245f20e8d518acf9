/** @file A model as an argument. */
import type { ArgumentKind } from '../util/arguments.js'
import type { Model } from './model.js'

/** Whether something is a model; a class of one's own may be one. */
export const isModel = (value: unknown): value is Model =>
  typeof value === 'object' && value !== null && 'modules' in value && 'environment' in value && 'build' in value

/** Advice for a name in a model's place. */
export const openModelAdvice = (value: unknown): string | undefined =>
  typeof value === 'string' ? 'open it with loadModel first' : undefined

export const modelArgument: ArgumentKind<Model> = {
  must: 'be a model',
  fits: isModel,
  advice: (value) =>
    typeof value === 'object' && value !== null && 'model' in value
      ? 'its model is its property "model"'
      : openModelAdvice(value),
}
