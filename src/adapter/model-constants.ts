/** @file Inputs of an .onnx file that are constants are part of what an adapter was trained on: its configuration says so. */
import { InvalidAdapterError } from '../errors.js'
import type { InputConstant, InputConstants } from '../lower/input-constants.js'
import type { Model } from '../model/model.js'

/** Key of `adapter_config.json`; PEFT has none of the kind, and leaves alone what it does not know. */
export const CONSTANTS_KEY = 'onnx_constants'

/** What a configuration says of the model's constants; nothing where it has none. */
export const constantsEntry = ({ constants }: Model): Readonly<Record<string, unknown>> =>
  constants === undefined ? {} : { [CONSTANTS_KEY]: constants }

/** As the command line takes them: `sr=16000`. */
export const formatConstants = (constants: InputConstants): string =>
  Object.entries(constants)
    .map(([name, value]) => `${name}=${typeof value === 'object' ? `[${value.join(',')}]` : value}`)
    .join(', ')

/** The same for a shell: JSON for names that a list would cut, quotes where the shell would read more than letters. */
function forShell(constants: InputConstants): string {
  const text = Object.keys(constants).every((name) => /^[\w.:/-]+$/.test(name))
    ? formatConstants(constants).replaceAll(', ', ',')
    : JSON.stringify(constants)
  return /^[\w.:/,=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}

/** A number, however it was written. */
const normal = (value: InputConstant | undefined): string =>
  JSON.stringify(typeof value === 'object' ? value.map(Number) : value === undefined ? null : Number(value))

/**
 * Compares what an adapter was trained on with the model that it is put on.
 * @throws InvalidAdapterError if an input is another constant there, or none
 */
export function checkConstants(model: Model, told: unknown, folder: string): void {
  if (told === undefined || told === null) return
  if (typeof told !== 'object' || Array.isArray(told))
    throw new InvalidAdapterError(
      `${folder}: "${CONSTANTS_KEY}" must be an object of input names and values, got ${JSON.stringify(told)}`,
    )
  const trained = told as InputConstants
  const here = model.constants ?? {}
  const differs = Object.keys(trained).filter((name) => normal(trained[name]) !== normal(here[name]))
  if (differs.length === 0) return
  const shown = formatConstants(trained)
  throw new InvalidAdapterError(
    `${folder} was trained with ${shown}, but the model was loaded ${model.constants === undefined ? 'without constants' : `with ${formatConstants(here)}`}; load it with { constants: ${JSON.stringify(trained)} }, --constants ${forShell(trained)}`,
  )
}
