/** @file What is evaluated, as sessions see it: models and sets of adapters train nothing. */
import { Adapter } from '../adapter/adapter.js'
import { AdapterSet } from '../adapter/adapter-set.js'
import { ParameterVector } from '../adapter/parameter-vector.js'
import { attachParts } from '../adapters/attach.js'
import type { Model } from '../model/model.js'
import { adapterTrainee, type Trainee } from './trainee.js'
import { isTrainee } from './trainee-argument.js'
import { subjectArgument } from '../adapter/subject-arguments.js'
import type { ArgumentKind } from '../util/arguments.js'

/** A model without anything to train, as the evaluation sees it. */
const frozenTrainee = (model: Model): Trainee => ({
  model,
  parameters: new ParameterVector([]),
  totalParameters: model.parameterCount,
  build: (options) => {
    const built = model.build(options)
    return { graph: built.graph, hidden: built.hidden, parameters: [] }
  },
  save: () => Promise.resolve(),
  fingerprint: '',
})

/** What is active in a set by now. */
function servedTrainee(set: AdapterSet): Trainee {
  const { parts, tensors } = set.serving()
  const parameters = new ParameterVector(
    [],
    Object.entries(tensors).map(([name, { shape }]) => ({ name, shape })),
  )
  for (const [name, { data }] of Object.entries(tensors)) parameters.view(name).set(data as Float32Array)
  return {
    ...frozenTrainee(set.model),
    parameters,
    build: ({ training: _, ...options }) => {
      const built = set.model.build(options)
      const { graph } = attachParts(built.graph, parts, { scaling: 'tensors' })
      return { graph, hidden: built.hidden, parameters: [] }
    },
  }
}

export const evaluatedArgument: ArgumentKind<Model | Adapter | AdapterSet | Trainee> = {
  ...subjectArgument,
  fits: (value): value is Model | Adapter | AdapterSet | Trainee => subjectArgument.fits(value) || isTrainee(value),
}

/** What is evaluated, as it is at the call. */
export function traineeOf(subject: Model | Adapter | AdapterSet | Trainee): Trainee {
  // A run may go on with the adapter meanwhile: what is measured is what it is at the call.
  if (subject instanceof Adapter) return { ...adapterTrainee(subject), parameters: subject.parameters.copy() }
  if (subject instanceof AdapterSet) return servedTrainee(subject)
  return 'model' in subject ? subject : frozenTrainee(subject)
}
