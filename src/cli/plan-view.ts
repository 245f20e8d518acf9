/** @file What `lowrank train --dry-run` prints. */
import type { TrainingPlan } from '../index.js'
import type { Output } from './flags.js'
import { clock, count, digits, megabytes } from './format.js'

/** The prediction as one JSON line, or as a few lines for people. */
export function showPlan(plan: TrainingPlan, output: Output): void {
  if (output.json) return output.printJson(plan)
  const { peakMemoryBytes, weightsBytes, activationBytes, optimizerBytes, runtimeBytes } = plan
  const speed = plan.tokensPerStep / plan.secondsPerStep
  output.print(
    `peak memory    ${megabytes(peakMemoryBytes)}: weights ${megabytes(weightsBytes)}, activations ${megabytes(activationBytes)}, ` +
      `optimizer ${megabytes(optimizerBytes)}, runtime ${megabytes(runtimeBytes)}`,
  )
  output.print(
    `time per step  ${digits(plan.secondsPerStep, 3)} s for ${count(plan.tokensPerStep)} tokens (${count(speed)} a second); ` +
      `${count(plan.steps)} ${plan.steps === 1 ? 'step takes' : 'steps take'} ${clock(plan.steps * plan.secondsPerStep)}`,
  )
  output.print(
    `parameters     ${count(plan.trainableParameters)} trained of ${count(plan.totalParameters)}; a graph of ${count(plan.nodes)} nodes, ` +
      `${digits(plan.operationsPerStep / 1e9, 3)} GFLOP of products a step`,
  )
}
