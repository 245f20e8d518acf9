/** @file From a configuration and a model to the parts of an adapter. */
import { InvalidOptionError } from '../errors.js'
import { isTurned, type TargetModule } from '../graph/target-module.js'
import type { Initializer } from '../graph/types.js'
import { LoraPart, PREFIX, weightName, type LoraTarget } from './lora.js'
import type { LoraConfig } from './lora-config.js'
import type { InitialMatrices, Part } from './part.js'
import { ReplacedWeight } from './replaced-weight.js'
import { TrainableTokens } from './trainable-tokens.js'

/** What parts need to know of a model. */
export interface AdaptedModel {
  readonly modules: ReadonlyMap<string, TargetModule>
  /** Weights that the model's graph reads, by its names. */
  readonly weights: ReadonlyMap<string, Initializer>
}

/**
 * All parts of an adapter: first the tensors of the base that are trained themselves, then rows of embeddings, then the
 * branches in the order of the targets.
 * @param initial constant matrices to subtract, by module
 * @throws InvalidOptionError for names that the model does not have
 */
export function adapterParts(
  model: AdaptedModel,
  config: LoraConfig,
  targets: readonly LoraTarget[],
  initial?: ReadonlyMap<string, InitialMatrices>,
): Part[] {
  const { useDora, loraBias } = config
  const heads = tiedHeads(model.modules)
  const replaced = [...savedModules(model, config, heads), ...biases(model, config, targets)]
  const unique = [...new Map(replaced.map((part) => [part.replaced.name, part])).values()]
  const lora = targets.map((target) => {
    const constants = initial?.get(target.module.name)
    const keeps = heads.get(target.module.name)?.name
    return new LoraPart(target, {
      useDora,
      loraBias,
      ...(constants && { initial: constants }),
      ...(keeps !== undefined && { keeps }),
    })
  })
  return [...unique, ...tokenParts(model, config, targets, heads), ...lora]
}

/** Output heads by the embedding whose weight they share. */
function tiedHeads(modules: ReadonlyMap<string, TargetModule>): Map<string, TargetModule> {
  const embeddings = new Map([...modules.values()].filter(({ kind }) => kind === 'Embedding').map((m) => [m.weight, m.name]))
  return new Map(
    [...modules.values()].flatMap((module) => {
      const embedding = module.kind === 'Embedding' ? undefined : embeddings.get(module.weight)
      return embedding === undefined ? [] : [[embedding, module] as const]
    }),
  )
}

/** Path of the module that a tensor belongs to. */
export const pathOf = (weight: string): string => weight.slice(0, weight.lastIndexOf('.'))

/** Whether a path lies in a module that is saved; PEFT compares endings, so `classifier` means `pre_classifier` as well. */
export function isSavedPath(path: string, modulesToSave: readonly string[]): boolean {
  const parts = path.split('.')
  return parts.some((_, i) => {
    const name = parts.slice(0, i + 1).join('.')
    return modulesToSave.some((saved) => name.endsWith(saved))
  })
}

function savedModules(model: AdaptedModel, config: LoraConfig, heads: ReadonlyMap<string, TargetModule>): ReplacedWeight[] {
  const names = config.modulesToSave ?? []
  const turned = [...model.modules.values()].filter(isTurned)
  const turnedWeights = new Set(turned.map(({ weight }) => weightName(weight)))
  const parts = [...model.weights]
    .filter(([weight]) => isSavedPath(pathOf(weight), names) && !turnedWeights.has(weight))
    .map(([weight, { shape }]) => {
      const module = pathOf(weight)
      const head = heads.get(module)
      const shared = head === undefined ? {} : { only: model.modules.get(module)!, keeps: head.name }
      return new ReplacedWeight({ module, weight, shape, name: `${PREFIX}${weight}`, ...shared })
    })
  for (const { name, weight, inFeatures, outFeatures } of turned)
    if (isSavedPath(name, names) && model.weights.has(weightName(weight)))
      parts.push(
        new ReplacedWeight({ module: name, weight: weightName(weight), shape: [outFeatures, inFeatures], name: `${PREFIX}${name}.weight`, turned: true }), // prettier-ignore
      )
  // A tied head has no weight of its own.
  for (const head of heads.values())
    if (isSavedPath(head.name, names)) {
      const weight = weightName(head.weight)
      const { shape } = model.weights.get(weight)!
      parts.push(new ReplacedWeight({ module: head.name, weight, shape, name: `${PREFIX}${head.name}.weight`, only: head }))
    }
  return parts
}

function biases(model: AdaptedModel, config: LoraConfig, targets: readonly LoraTarget[]): ReplacedWeight[] {
  if (config.bias === 'none') return []
  const adapted = new Set(targets.map(({ module }) => module.name))
  return [...model.weights]
    .filter(([weight]) => weight.endsWith('.bias') && (config.bias === 'all' || adapted.has(pathOf(weight))))
    .filter(([weight]) => !isSavedPath(pathOf(weight), config.modulesToSave ?? []))
    .map(([weight, { shape }]) => {
      const module = pathOf(weight)
      const name = `${PREFIX}${module}.${adapted.has(module) ? 'base_layer.' : ''}bias`
      return new ReplacedWeight({ module, weight, shape, name })
    })
}

const isList = (value: readonly number[] | object): value is readonly number[] => Array.isArray(value)

function tokenParts(
  model: AdaptedModel,
  config: LoraConfig,
  targets: readonly LoraTarget[],
  heads: ReadonlyMap<string, TargetModule>,
): TrainableTokens[] {
  const given = config.trainableTokenIndices
  if (given === null) return []
  const embeddings = [...model.modules.values()].filter(({ kind }) => kind === 'Embedding')
  const entries = isList(given) ? [[embeddings[0]?.name ?? '', given] as const] : Object.entries(given)
  return entries.map(([name, tokens]) => {
    const embedding = embeddings.find((module) => module.name === name || module.name.endsWith(`.${name}`))
    if (embedding === undefined)
      throw new InvalidOptionError(
        `"trainableTokenIndices" names "${name}", which is no embedding of the model; it has ${embeddings.map((m) => m.name).join(', ') || 'none'}`,
      )
    if (targets.some(({ module }) => module.name === embedding.name) || isSavedPath(embedding.name, config.modulesToSave ?? []))
      throw new InvalidOptionError(
        `the embedding ${embedding.name} cannot both be adapted or saved whole and have "trainableTokenIndices"`,
      )
    const larger = tokens.find((token) => token >= embedding.inFeatures)
    if (larger !== undefined)
      throw new InvalidOptionError(
        `"trainableTokenIndices" of ${embedding.name} names token ${larger}, but it has ${embedding.inFeatures} rows: if the vocabulary was made larger, ` +
          'make it as large in the base (in Python: model.resize_token_embeddings(number of tokens)), save it, and use that as the base',
      )
    if (tokens.some((token) => token < 0) || new Set(tokens).size < tokens.length || tokens.length === 0)
      throw new InvalidOptionError(
        `"trainableTokenIndices" of ${embedding.name} must be different numbers from 0 to ${embedding.inFeatures - 1}, got ${JSON.stringify(tokens)}`,
      )
    return new TrainableTokens(embedding, tokens, heads.get(embedding.name))
  })
}
