/** @file What is trained, as an argument. */
import { Adapter } from '../adapter/adapter.js'
import { adapterArgument } from '../adapter/adapter-argument.js'
import { isModel } from '../model/model-argument.js'
import type { ArgumentKind } from '../util/arguments.js'
import type { Trainee } from './trainee.js'

/** Whether something is what {@link Trainee} says, of whatever class. */
export const isTrainee = (value: unknown): value is Trainee =>
  typeof value === 'object' && value !== null && 'model' in value && 'parameters' in value && 'build' in value

export const traineeArgument: ArgumentKind<Adapter | Trainee> = {
  must: 'be an adapter, or what fullTrainee makes of a model',
  fits: (value): value is Adapter | Trainee => value instanceof Adapter || isTrainee(value),
  advice: (value) =>
    isModel(value)
      ? 'addLora puts a new adapter on a model, loadAdapter one that is there; fullTrainee trains all of its weights'
      : adapterArgument.advice?.(value),
}
