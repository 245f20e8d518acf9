/** @file What the methods of the text experiments cost: seconds of a step and memory, measured by turns. */
import { loadModel } from '../../src/index.js'
import { traineeOf, type Method } from './methods.js'
import { methodsOf, type TextBase } from './text-experiment.js'
import { textTraining } from './text-run.js'
import { costsByTurns, stepsOfTurns, trainByTurns, type TrainingCost } from './turns.js'

/** What a training process of the costs is told. */
export interface CostTask {
  readonly cost: Method
  readonly model: string
  readonly rounds: number
}

/** A training process of the costs. */
export async function trainForCosts({ cost, model, rounds }: CostTask, threads: number): Promise<void> {
  const trainee = await traineeOf(await loadModel(model, { threads }), cost, 0)
  await trainByTurns(trainee, model, { ...(await textTraining()), steps: stepsOfTurns(rounds), learningRate: 1e-3 })
}

export interface MethodCost extends TrainingCost {
  /** Of a method. */
  readonly name: string
}

/** @param model folder of the base */
export async function measureCosts(base: TextBase, model: string, threads: number, rounds: number): Promise<MethodCost[]> {
  const methods = methodsOf(base)
  const tasks = methods.map((cost): CostTask & { threads: number } => ({ cost, model, rounds, threads }))
  const costs = await costsByTurns(tasks, rounds)
  return costs.map((cost, i) => ({ name: methods[i]!.name, ...cost }))
}
