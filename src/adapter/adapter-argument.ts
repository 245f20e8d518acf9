/** @file Adapters as arguments. */
import { isModel } from '../model/model-argument.js'
import type { ArgumentKind } from '../util/arguments.js'
import { Adapter } from './adapter.js'

export const isAdapter = (value: unknown): value is Adapter => value instanceof Adapter

export const adapterArgument: ArgumentKind<Adapter> = {
  must: 'be an adapter',
  fits: isAdapter,
  advice(value) {
    if (typeof value === 'string') return 'open it with loadAdapter first'
    if (isModel(value)) return 'addLora puts a new adapter on a model, loadAdapter one that is there'
    return undefined
  },
}

/** One adapter, or several. */
export const adaptersArgument: ArgumentKind<Adapter | readonly Adapter[]> = {
  ...adapterArgument,
  must: 'be an adapter or a list of them',
  fits: (value): value is Adapter | readonly Adapter[] => isAdapter(value) || (Array.isArray(value) && value.every(isAdapter)),
}
