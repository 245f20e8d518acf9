/**
 * @file Convolutions whose exporter multiplied a BatchNorm into their weight: numbers that were learned on the one do not fit
 * the other, and nothing in the tensors tells. The configuration of an adapter says which it was trained on.
 */
import type { Part } from '../adapters/part.js'
import type { Model } from '../model/model.js'

/** Key of `adapter_config.json`: layers that had their norm in the weight. PEFT leaves alone what it does not know. */
export const FOLDED_KEY = 'onnx_folded_norms'

/** The adapted layers that have their norm in the weight. */
const foldedOf = ({ modules }: Model, parts: readonly Part[]): string[] => [
  ...new Set(parts.map(({ module }) => module).filter((name) => modules.get(name)?.foldedNorm === true)),
]

/** What a configuration says of them; nothing where there are none. */
export function foldedEntry(model: Model, parts: readonly Part[]): Readonly<Record<string, unknown>> {
  const folded = foldedOf(model, parts)
  return folded.length === 0 ? {} : { [FOLDED_KEY]: folded }
}

const named = ([first, ...more]: readonly string[]): string =>
  `${first}${more.length === 0 ? '' : ` and ${more.length} more layers`}`

/**
 * What a person should know of an adapter that was trained on the other form.
 * @param told what its configuration says under {@link FOLDED_KEY}
 */
export function foldedNotice(model: Model, parts: readonly Part[], told: unknown): string | undefined {
  const trained = new Set(Array.isArray(told) ? (told as readonly unknown[]) : [])
  const here = foldedOf(model, parts)
  const apart = here.filter((name) => !trained.has(name))
  if (apart.length > 0)
    return (
      `in ${model.path} the BatchNorm of ${named(apart)} is folded into the weight, and nothing says that the adapter was trained so: ` +
      'trained on the layer without it, it computes something else here. Export the model with the norms apart ' +
      '(TorchScript: training=TrainingMode.PRESERVE, do_constant_folding=False; dynamo: optimize=False)'
    )
  const together = [...new Set(parts.map(({ module }) => module))].filter((name) => trained.has(name) && !here.includes(name))
  if (together.length === 0) return undefined
  return `the BatchNorm of ${named(together)} was folded into the weight where the adapter was trained, and is not in ${model.path}: the adapter computes something else here. Load it on the file that it was trained on`
}
