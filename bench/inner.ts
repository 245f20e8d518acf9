/**
 * @file What benchmarks measure inside of the library: a step that is compiled and never run, a forward pass without an update,
 * rows as training tokenises them. Users have `train` and `evaluate`, which do all of it; so no entry exports it.
 */
import { ParameterVector } from '../src/adapter/parameter-vector.js'
import { Adapter, type Model, type Trainee } from '../src/index.js'
import { GradientSession } from '../src/train/gradient-session.js'
import { LossSession } from '../src/train/loss-session.js'
import { chooseObjective, openModelDataset, openTaskDataset } from '../src/train/open-dataset.js'
import { lossOptions } from '../src/train/step-graph.js'
import { adapterTrainee } from '../src/train/trainee.js'

export { webgpuKnowsFloat16 } from '../src/runtime/ort-node.js'

/** Batches of rows of equal length. */
export interface BatchShape {
  readonly batchSize: number
  readonly maxLength: number
}

/** Compiles a training step. @returns what frees it */
export async function compileStep(adapter: Adapter, shape: BatchShape, recompute: boolean): Promise<() => Promise<void>> {
  const step = { ...lossOptions(adapter.model, shape.batchSize, shape.maxLength), recompute }
  const session = await GradientSession.create(adapterTrainee(adapter), step)
  return () => session.release()
}

/** Rows tokenised as training does it, without those that teach nothing. */
export async function tokenizedRows(
  model: Model,
  data: string,
  maxLength: number,
): Promise<{ readonly input_ids: readonly number[]; readonly labels: readonly number[] }[]> {
  const dataset = await openModelDataset(model, data, { maxLength })
  const rows = []
  for (let i = 0; i < dataset.length; i++) {
    const example = await dataset.example(i)
    if (example !== undefined) rows.push({ input_ids: example.inputIds, labels: example.labels })
  }
  return rows
}

/** A model as something that has nothing to train. */
const frozen = (model: Model): Trainee => ({
  ...{ model, parameters: new ParameterVector([]), totalParameters: model.parameterCount, fingerprint: '' },
  build: ({ training: _, ...options }) => ({ ...model.build(options), parameters: [] }),
  save: () => Promise.resolve(),
})

/** Seconds of forward passes with the loss over the first batch; compiling and the first pass do not count. */
export async function forwardSeconds(
  subject: Adapter | Model,
  data: string,
  { batchSize, maxLength }: BatchShape,
  count: number,
): Promise<number[]> {
  const trainee = subject instanceof Adapter ? adapterTrainee(subject) : frozen(subject)
  const { model } = trainee
  const objective = await chooseObjective(model, data, {})
  const dataset = await openTaskDataset(model, objective, data, { maxLength })
  const session = await LossSession.create(trainee, lossOptions(model, batchSize, maxLength, false, objective))
  const seconds: number[] = []
  for await (const batch of dataset.batches({ batchSize, shuffle: false, seed: 0, epochs: 1 })) {
    for (let i = -1; i < count; i++) {
      const started = performance.now()
      await session.run(batch)
      if (i >= 0) seconds.push((performance.now() - started) / 1000)
    }
    break
  }
  await session.release()
  return seconds
}
