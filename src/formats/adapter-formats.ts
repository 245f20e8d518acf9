/** @file The adapter formats that can be converted. A new one is one file and one entry here. */
import { InvalidAdapterError, InvalidOptionError } from '../errors.js'
import type { Files } from '../io/files.js'
import type { AdapterFormat } from './adapter-file.js'
import { diffusionFormat } from './diffusion-format.js'
import { ggufFormat } from './gguf/index.js'
import { loralibFormat } from './loralib-format.js'
import { mlxFormat } from './mlx-format.js'
import { onnxAdapterFormat } from './onnx-adapter-format.js'
import { peftBinFormat, peftFormat } from './peft-formats.js'

/** In the order in which a path is tried. */
export const adapterFormats: readonly AdapterFormat[] = [
  mlxFormat,
  peftFormat,
  peftBinFormat,
  onnxAdapterFormat,
  ggufFormat,
  loralibFormat,
  diffusionFormat,
]

const list = (formats: readonly AdapterFormat[]): string => formats.map(({ description }) => description).join('; ')

/**
 * The format of an adapter that is there.
 * @throws InvalidAdapterError if it is of none, or missing
 * @example
 * const format = await detectAdapterFormat(environment.files, 'lora.safetensors')
 */
export async function detectAdapterFormat(files: Files, path: string): Promise<AdapterFormat> {
  if (!(await files.exists(path))) throw new InvalidAdapterError(`"${path}" does not exist`)
  for (const format of adapterFormats) if (await format.holds(files, path)) return format
  throw new InvalidAdapterError(`"${path}" is no adapter that is known; expected ${list(adapterFormats)}`)
}

/**
 * The format of an adapter that is to be written: the one named, or by the ending of the path.
 * @throws InvalidOptionError if it is unknown, can only be read, or the ending tells none
 */
export function chooseAdapterFormat(
  path: string,
  name: string | undefined,
): AdapterFormat & Required<Pick<AdapterFormat, 'write'>> {
  const writable = adapterFormats.filter((format) => format.write !== undefined)
  const found =
    name === undefined ? writable.find(({ takes }) => takes(path)) : adapterFormats.find((format) => format.name === name)
  if (found === undefined)
    throw new InvalidOptionError(
      name === undefined
        ? `"${path}" ends like no adapter format; name one of ${writable.map((f) => f.name).join(', ')}`
        : `unknown adapter format "${name}"; known: ${adapterFormats.map((f) => f.name).join(', ')}`,
    )
  if (found.write === undefined) throw new InvalidOptionError(`the format "${found.name}" can be read, not written`)
  return found as AdapterFormat & Required<Pick<AdapterFormat, 'write'>>
}
