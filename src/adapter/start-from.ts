/** @file A new adapter that begins where another, of another task, has ended. */
import { loraAName, LoraPart, scaleOf, type LoraTarget } from '../adapters/lora.js'
import type { LoraConfig } from '../adapters/lora-config.js'
import type { PartTensor } from '../adapters/part.js'
import { compilePatterns, firstValue } from '../adapters/targets.js'
import { InvalidAdapterError, InvalidOptionError } from '../errors.js'
import { detectAdapterFormat } from '../formats/adapter-formats.js'
import { toFloat32 } from '../formats/safetensors.js'
import { formatShape, type HostTensor } from '../graph/types.js'
import { FolderModel } from '../model/folder-model.js'
import { checkArgument, pathArgument } from '../util/arguments.js'
import { someNames } from '../util/some-of.js'
import type { Adapter } from './adapter.js'
import { adapterArgument } from './adapter-argument.js'

/** What of a new adapter another one has given. */
export interface AdapterStart {
  /** Tensors that begin as the other's, by PEFT's names. */
  readonly taken: readonly string[]
  /** Tensors that begin as they were: a head for other labels. */
  readonly fresh: readonly string[]
}

/**
 * Gives an adapter the branches of one that was trained for another task on the same base, as microsoft/LoRA starts MRPC, RTE and
 * STS-B from MNLI. Saved modules and biases begin as the other's where they have the same shape; a head for other labels stays
 * fresh.
 * @param path folder or file of any format that `convert` reads; one that does not tell alpha is taken to have this adapter's
 * @throws InvalidAdapterError if the other lacks a branch, has one that this adapter has not, or one of another rank or scale;
 * InvalidOptionError if the adapter begins from the base's weights (PiSSA, OLoRA)
 * @example
 * const adapter = await addLora(model, { r: 8, alpha: 16 })
 * const { fresh } = await startFrom(adapter, 'mnli') // ['base_model.model.classifier.out_proj.weight', …]
 */
export async function startFrom(adapter: Adapter, path: string): Promise<AdapterStart> {
  checkArgument(adapter, adapterArgument, 'startFrom')
  checkArgument(path, pathArgument, 'startFrom', 'the second argument')
  const { model, config, parts, targets, parameters } = adapter
  if (parts.some((part) => part instanceof LoraPart && part.initial !== undefined))
    throw new InvalidOptionError(
      `the adapter begins from the base's weights (initLoraWeights ${JSON.stringify(config.initLoraWeights)}), and cannot begin from another; leave it out`,
    )
  const { files } = model.environment
  const format = await detectAdapterFormat(files, path)
  const baseConfig = model instanceof FolderModel ? { baseConfig: model.config.json } : {}
  const other = await format.read(files, path, { alpha: config.loraAlpha, modules: model.modules, ...baseConfig })
  for (const target of targets) checkScale(target, other.config, other.tensors, path)
  const specs = parts.flatMap(({ tensors }) => tensors)
  const fits = ({ name, shape }: PartTensor): boolean => {
    const found = other.tensors.get(name)
    return found !== undefined && formatShape(found.shape) === formatShape(shape)
  }
  const odd = specs.find((spec) => !fits(spec) && spec.role !== 'weight' && spec.role !== 'rows')
  if (odd !== undefined) throw lacksBranch(odd, other.tensors, path)
  const known = new Set(specs.map(({ name }) => name))
  const without = [...other.tensors.keys()].find((name) => BRANCH.test(name) && !known.has(name))
  if (without !== undefined)
    throw new InvalidAdapterError(
      `${path} has "${without}", for which this adapter has no place: what was learned there would be lost. The same layers must be adapted in both, in the same way (targetModules, --target-modules)`,
    )
  const taken = specs.filter(fits)
  for (const { name } of taken) parameters.view(name).set(toFloat32(other.tensors.get(name)!))
  const namesOf = (some: readonly PartTensor[]): string[] => some.map(({ name }) => name)
  return { taken: namesOf(taken), fresh: namesOf(specs.filter((spec) => !fits(spec))) }
}

/** A tensor of a branch, by PEFT's names. */
const BRANCH = /\.lora_/

function lacksBranch({ name, shape }: PartTensor, tensors: ReadonlyMap<string, HostTensor>, path: string): InvalidAdapterError {
  const found = tensors.get(name)
  return new InvalidAdapterError(
    found === undefined
      ? `${path} has no "${name}", so this adapter cannot begin from it: the same layers must be adapted in both (targetModules, --target-modules). It has ${someNames([...tensors.keys()])}`
      : `${path}: "${name}" is ${formatShape(found.shape)}, but this adapter's is ${formatShape(shape)}: begin with the same rank (r, --r)`,
  )
}

/** @throws InvalidAdapterError if the other's branch counts more or less than this one */
function checkScale(
  { module, scale }: LoraTarget,
  { r, loraAlpha, useRslora, rankPattern, alphaPattern }: LoraConfig,
  tensors: ReadonlyMap<string, HostTensor>,
  path: string,
): void {
  const { name } = module
  // What is not there is told with its name.
  if (module.kind !== 'Embedding' && !tensors.has(loraAName(name))) return
  const rank = firstValue(compilePatterns(rankPattern), name) ?? r
  const alpha = firstValue(compilePatterns(alphaPattern), name) ?? loraAlpha
  const theirs = scaleOf(alpha, rank, useRslora)
  if (Math.abs(theirs - scale) <= 1e-6 * scale) return
  throw new InvalidAdapterError(
    `${path}: the branch of ${name} counts ${theirs} times, but this adapter's ${scale} times; begin with the same alpha and r (--alpha ${alpha} --r ${rank})`,
  )
}
