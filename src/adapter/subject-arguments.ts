/** @file What can be run, as an argument. */
import { isModel, openModelAdvice } from '../model/model-argument.js'
import type { Model } from '../model/model.js'
import type { ArgumentKind } from '../util/arguments.js'
import type { Adapter } from './adapter.js'
import { isAdapter } from './adapter-argument.js'
import { AdapterSet } from './adapter-set.js'

/** What can be run: it gives logits, texts, predictions. */
export const subjectArgument: ArgumentKind<Model | Adapter | AdapterSet> = {
  must: 'be a model, an adapter or a set of adapters',
  fits: (value): value is Model | Adapter | AdapterSet => isAdapter(value) || value instanceof AdapterSet || isModel(value),
  advice: openModelAdvice,
}
