/** @file The files of predictions that run_glue.py writes: `index`, and the name of a class or a number with three decimals. */
import { InvalidDataError } from '../../errors.js'
import type { Prediction } from '../../predict/prediction.js'

/** The text of `test_results_{task}.txt`. */
export function predictionLines(predictions: readonly Prediction[]): string {
  return `index\tprediction\n${predictions.map((prediction, i) => `${i}\t${cell(prediction)}\n`).join('')}`
}

function cell(prediction: Prediction): string {
  if ('value' in prediction && typeof prediction.value === 'number') return prediction.value.toFixed(3)
  if ('label' in prediction) return prediction.label
  throw new InvalidDataError('internal: a prediction of GLUE is a class or a number')
}
