/**
 * @file The names in a new adapter's configuration that mean nothing in the model. PEFT is content with one match, so that
 * one configuration fits several models; of a new adapter a name without a match is a mistake, and half of it would be
 * trained without a word.
 */
import { InvalidOptionError } from '../errors.js'
import type { TargetModule } from '../graph/target-module.js'
import { nearestNames } from '../util/nearest.js'
import type { LoraTarget } from './lora.js'
import { isAllLinear, type LoraConfig } from './lora-config.js'
import { isSavedPath, pathOf, type AdaptedModel } from './adapter-parts.js'
import { pythonRegex } from './python-regex.js'
import { compilePatterns, lastPart, layerMatcher, unnamedNote } from './targets.js'

/** What a name may have meant: names of as many parts as it has. */
function hint(name: string, modules: ReadonlyMap<string, unknown>): string {
  const parts = name.split('.').length
  const endings = [...modules.keys()].map((path) => path.split('.').slice(-parts).join('.'))
  const near = nearestNames(name, [...new Set(endings)])
  return near.length === 0 ? '' : `; did you mean ${near.join(' or ')}?`
}

const adaptable = (modules: ReadonlyMap<string, TargetModule>): string =>
  [[...new Set([...modules.keys()].map(lastPart))].join(', '), ...unnamedNote(modules)].join('; ')

const matchesName = (path: string, name: string): boolean => path === name || path.endsWith(`.${name}`)

/** Each name of a list, or the expression, calls a layer. @param beside what is known of names that do not */
function checkNames(
  field: 'targetModules' | 'excludeModules',
  names: readonly string[] | string | null | undefined,
  modules: ReadonlyMap<string, TargetModule>,
): void {
  if (names === null || names === undefined || isAllLinear(names)) return
  const paths = [...modules.keys()]
  if (typeof names === 'string') {
    // Targets that match nothing at all are refused where they are matched.
    if (field === 'targetModules' || names === '') return
    const regex = pythonRegex(names, 'fullmatch')
    if (paths.some((path) => regex.test(path))) return
    throw new InvalidOptionError(`"${field}" ${JSON.stringify(names)} matches no layer of the model, so it excludes nothing`)
  }
  const unknown = names.find((name) => !paths.some((path) => matchesName(path, name)))
  if (unknown === undefined) return
  const isBlock = paths.some((path) => path.includes(`.${unknown}.`) || path.startsWith(`${unknown}.`))
  throw new InvalidOptionError(
    isBlock
      ? `"${field}" names "${unknown}", which is a block of layers and not a layer; layers that can be adapted: ${adaptable(modules)}`
      : `"${field}" names "${unknown}", which no layer of the model is called${hint(unknown, modules)}${field === 'targetModules' ? '' : '; it would exclude nothing'}; layers that can be adapted: ${adaptable(modules)}`,
  )
}

/** @throws InvalidOptionError for a name of a list of targets that calls no layer */
export const checkTargetNames = (
  targets: readonly string[] | string | null | undefined,
  modules: ReadonlyMap<string, TargetModule>,
): void => checkNames('targetModules', targets, modules)

/**
 * Checks every name that the user gave for a new adapter.
 * @param given the fields as given, without what is added by the model's task
 * @param targets what is adapted
 * @throws InvalidOptionError naming the field, the name that matches nothing, and those nearest to it
 */
export function checkEveryName(given: Partial<LoraConfig>, model: AdaptedModel, targets: readonly LoraTarget[]): void {
  const { modules } = model
  checkNames('excludeModules', given.excludeModules, modules)
  const weights = new Map([...model.weights.keys()].map((weight) => [pathOf(weight), undefined]))
  const paths = [...new Set([...modules.keys(), ...weights.keys()])]
  const unsaved = given.modulesToSave?.find((name) => !paths.some((path) => isSavedPath(path, [name])))
  if (unsaved !== undefined)
    throw new InvalidOptionError(
      `"modulesToSave" names "${unsaved}", but the model has no such module${hint(unsaved, new Map(paths.map((path) => [path, undefined])))}; its weights belong to ${[...new Set(paths.map(lastPart))].slice(0, 20).join(', ')}`,
    )
  checkPatterns(given, targets)
  checkLayers(given, modules, targets)
}

function checkPatterns(given: Partial<LoraConfig>, targets: readonly LoraTarget[]): void {
  const adapted = new Map(targets.map(({ module }) => [module.name, module]))
  for (const field of ['rankPattern', 'alphaPattern'] as const)
    for (const { key, regex } of compilePatterns(given[field] ?? {})) {
      if (targets.some(({ module }) => regex.test(module.name))) continue
      throw new InvalidOptionError(
        `"${field}" has the key "${key}", which matches none of the adapted layers${hint(key, adapted)}; they are ${adaptable(adapted)}`,
      )
    }
}

function checkLayers(
  { layersToTransform, layersPattern }: Partial<LoraConfig>,
  modules: ReadonlyMap<string, TargetModule>,
  targets: readonly LoraTarget[],
): void {
  if (layersToTransform === null || layersToTransform === undefined) return
  const pattern = layersPattern ?? null
  const layers = typeof layersToTransform === 'number' ? [layersToTransform] : layersToTransform
  const adapted = targets.map(({ module }) => module.name)
  for (const name of Array.isArray(pattern) ? (pattern as readonly string[]) : []) {
    const matches = layerMatcher({ layersToTransform: layers, layersPattern: name })
    if (![...modules.keys()].some(matches))
      throw new InvalidOptionError(
        `"layersPattern" names "${name}", which is no list of layers with an index of "layersToTransform"`,
      )
  }
  for (const layer of layers) {
    const matches = layerMatcher({ layersToTransform: layer, layersPattern: pattern })
    if (adapted.some(matches)) continue
    throw new InvalidOptionError(
      `"layersToTransform" names layer ${layer}, in which nothing is adapted${[...modules.keys()].some(matches) ? '' : '; the model has no layer of that number'}`,
    )
  }
}
