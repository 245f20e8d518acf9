/** @file What differs between two runs, in the words of whoever gave their options. */
import { isObject } from '../util/json.js'
import { flagName, type AnyTable } from '../util/option-table.js'
import { START } from './fingerprint.js'
import { trainOptionTable } from './option-table.js'

type Entries = Readonly<Record<string, unknown>>
type Names = Readonly<Record<string, string>>

/** Names for the entries whose values tell a reader nothing. */
const OPAQUE: Names = {
  data: 'the rows of data (--data)',
  evalData: 'the rows of evalData (--eval-data), which decide when to stop',
  weights: 'the weights of the base model',
  config: "the base model's config.json",
  graph: "the base model's graph",
  tokenizer: 'the tokenizer or its chat template',
  trained: 'what is trained (layers, ranks, scales, dropout or initialisation)',
  [START]: 'the tensors of the adapter that stay as they begin',
  lossFunction: 'the loss function',
}

/** Names for entries that are no option of a run, or of several. */
const CALLED: Names = {
  objective: 'what is learned',
  labels: 'the labels',
  totalSteps: 'the number of steps',
  totalMicroBatches: 'the number of micro-batches',
  saves: 'whether there is out (--out)',
  base: 'base (--base)',
  constants: 'constants (--constants)',
}

/** Entries that hold several options, as these. */
const parts: Readonly<Record<string, readonly string[]>> = {
  valSplit: ['valSplit', 'valSplitBy'],
  loraPlus: ['loraPlusLrRatio', 'loraPlusLrEmbedding'],
}

/** What follows from a difference: it is not told beside it. */
const consequences: Readonly<Record<string, readonly string[]>> = {
  valSplit: ['data', 'evalData', 'totalSteps'],
  valSplitBy: ['data', 'evalData', 'totalSteps'],
  ...{ schedule: ['totalSteps', 'totalMicroBatches'], warmup: ['totalSteps', 'totalMicroBatches'], earlyStopping: ['evalData'] },
  scheduleStep: ['totalMicroBatches'],
  gradAccum: ['totalMicroBatches'],
}

/** The entries of a fingerprint by the options that they are of. */
function optionsOf(text: string): Entries {
  let entries: unknown
  try {
    entries = JSON.parse(text)
  } catch {
    return {}
  }
  if (!isObject(entries)) return {}
  return Object.fromEntries(
    Object.entries(entries).flatMap(([key, value]): (readonly [string, unknown])[] =>
      parts[key] === undefined || !Array.isArray(value)
        ? [[key, value]]
        : parts[key].map((name, i) => [name, (value as unknown[])[i] ?? undefined]),
    ),
  )
}

/** An option with its flag: `batchSize (--batch-size)`. */
function optionName(key: string): string {
  const row = (trainOptionTable as unknown as AnyTable)[key]
  const flag = row && flagName(row)
  return flag === undefined ? key : `${key} (--${flag})`
}

const show = (value: unknown): string => (value === undefined ? 'not given' : JSON.stringify(value))

/**
 * The options that differ between two fingerprints, for a message; empty where none does.
 * @param then what to call the first of them, and the second
 */
export function fingerprintDifference(before: string, now: string, [then, here] = ['before', 'now']): string {
  const [a, b] = [optionsOf(before), optionsOf(now)]
  const names = [...new Set([...Object.keys(a), ...Object.keys(b)])].filter((key) => show(a[key]) !== show(b[key]))
  const told = names.filter((name) => !names.some((cause) => consequences[cause]?.includes(name)))
  const values = (key: string): string => `${show(a[key])} ${then}, ${show(b[key])} ${here}`
  return told
    .map((key) => {
      // Evaluations belong to a run where they decide when it stops.
      if (key === 'evalData' && (a[key] === undefined || b[key] === undefined))
        return `${optionName('earlyStopping')}: ${a[key] === undefined ? 'not given' : 'given'} ${then}, ${b[key] === undefined ? 'not given' : 'given'} ${here}`
      return OPAQUE[key] ?? `${CALLED[key] ?? optionName(key)}: ${values(key)}`
    })
    .join('; ')
}
