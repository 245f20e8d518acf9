/** @file Exports as the user asks for them: a model, a merged adapter, or a model that takes adapters as inputs. */
import type { Part } from '../adapters/part.js'
import { InvalidOptionError } from '../errors.js'
import { byWeight } from '../merge/plan.js'
import { encodeOnnxAdapter } from '../formats/onnx-adapter.js'
import { encodeSafetensors } from '../formats/safetensors.js'
import { Adapter } from './adapter.js'
import { checkExportOptions, exportModel, withoutMerging, type ExportOptions, type ExportResult } from './export-model.js'
import { besideFiles } from '../model/beside-files.js'
import type { Model } from '../model/model.js'
import { snapshot } from '../util/snapshot.js'
import { checkArgument, pathArgument, recordArgument, type ArgumentKind } from '../util/arguments.js'
import { adapterArgument } from './adapter-argument.js'
import { modelArgument, openModelAdvice } from '../model/model-argument.js'

const exportedArgument: ArgumentKind<Model | Adapter> = {
  must: 'be a model or an adapter',
  fits: (value): value is Model | Adapter => modelArgument.fits(value) || adapterArgument.fits(value),
  advice: openModelAdvice,
}

/**
 * Writes a model, or one with an adapter merged into it, as ONNX in the layout that transformers.js reads.
 *
 * @param out folder to write; new, empty, or with `overwrite` of an earlier export or merge
 * @throws InvalidOptionError for a folder that holds something else, and for options out of range
 * @example
 * await exportOnnx(adapter, 'my-model') // pipeline('text-generation', 'my-model') in transformers.js
 */
export async function exportOnnx(subject: Model | Adapter, out: string, given: ExportOptions = {}): Promise<ExportResult> {
  checkArgument(subject, exportedArgument, 'exportOnnx')
  checkArgument(out, pathArgument, 'exportOnnx', 'the second argument')
  checkExportOptions(given, 'exportOnnx')
  const options = snapshot(given)
  if (!(subject instanceof Adapter)) return exportModel(subject, out, options)
  const deltas = byWeight(subject.deltas())
  const modules = subject.carried?.modules ?? []
  const more = await besideFiles(subject.model, subject.endTokenIds)
  return withoutMerging(await exportModel(subject.model, out, options, { deltas, more }), modules)
}

const layout = (parts: readonly Part[]): string => JSON.stringify(parts.map(({ module, kind }) => [module, kind]))

/** An adapter as the inputs of such a model, in a file: scales are multiplied into B, names are PEFT's. */
function inputFiles(name: string, adapter: Adapter): [string, Uint8Array][] {
  const parameters = new Map(Object.entries(adapter.serving().tensors))
  return [
    [`adapters/${name}.safetensors`, encodeSafetensors(parameters)],
    [`adapters/${name}.onnx_adapter`, encodeOnnxAdapter({ adapterVersion: 1, modelVersion: 1, parameters })],
  ]
}

/**
 * Writes one ONNX model that takes the tensors of an adapter as inputs, and each adapter as a small file beside it, twice:
 * `adapters/NAME.safetensors` and `adapters/NAME.onnx_adapter`. Ranks may differ; matrices of rank 0 give the base model.
 *
 * @param adapters by name; all on the same layers of the same model
 * @throws InvalidOptionError for adapters that need different graphs
 * @example
 * await exportWithAdapterInputs({ poet, lawyer }, 'my-model')
 */
export async function exportWithAdapterInputs(
  adapters: Readonly<Record<string, Adapter>>,
  out: string,
  given: ExportOptions = {},
): Promise<ExportResult> {
  checkArgument(adapters, recordArgument, 'exportWithAdapterInputs')
  for (const [name, adapter] of Object.entries(adapters))
    checkArgument(adapter, adapterArgument, 'exportWithAdapterInputs', `"${name}"`)
  checkArgument(out, pathArgument, 'exportWithAdapterInputs', 'the second argument')
  checkExportOptions(given, 'exportWithAdapterInputs')
  const options = snapshot(given)
  const entries = Object.entries(adapters)
  const first = entries[0]?.[1]
  if (first === undefined) throw new InvalidOptionError('an export with adapters as inputs needs at least one adapter')
  const { parts } = first.serving()
  for (const [name, adapter] of entries) {
    if (!/^[\w.-]+$/.test(name) || name.startsWith('.'))
      throw new InvalidOptionError(`"${name}" cannot be the name of an adapter's file; use letters, digits, ".", "_" and "-"`)
    if (adapter.model !== first.model || layout(adapter.serving().parts) !== layout(parts))
      throw new InvalidOptionError(
        `adapter "${name}" adapts other layers than "${entries[0]![0]}", or in another way; one graph serves adapters of the same layers`,
      )
  }
  const ends = entries.flatMap(([, { endTokenIds }]) => endTokenIds)
  const carried = entries.flatMap(([, adapter]) => adapter.carried?.modules ?? [])
  const own = entries.flatMap(([name, adapter]) => inputFiles(name, adapter))
  const more = new Map([...own, ...(await besideFiles(first.model, ends))])
  return withoutMerging(await exportModel(first.model, out, options, { parts, more }), carried)
}
