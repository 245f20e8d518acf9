/** @file Which layers an adapter is attached to, decided exactly as PEFT 0.21 decides (`check_target_module_exists`). */
import { InvalidOptionError } from '../errors.js'
import type { TargetModule } from '../graph/target-module.js'
import { compareCodePoints } from '../util/python-json.js'
import { scaleOf, type LoraTarget } from './lora.js'
import { isAllLinear, isNoTarget, NO_TARGETS_IN_FILES, type LoraConfig } from './lora-config.js'
import { nearestNames } from '../util/nearest.js'
import { pythonRegex } from './python-regex.js'

/** From this many targets on, PEFT stores the shortest name endings that tell them from the other modules. */
const MIN_TARGETS_FOR_SUFFIXES = 20

type Matcher = (name: string) => boolean

/** Exact name, or name ending after a dot; a string is a regular expression for the whole name. */
function nameMatcher(targets: readonly string[] | string): Matcher {
  if (typeof targets === 'string') {
    const regex = pythonRegex(targets, 'fullmatch')
    return (name) => regex.test(name)
  }
  const exact = new Set(targets)
  return (name) => {
    // Endings that begin after a dot, and the whole: few, however many targets there are.
    for (let at = -1; ; at = name.indexOf('.', at + 1)) {
      if (exact.has(name.slice(at + 1))) return true
      if (name.indexOf('.', at + 1) < 0) return false
    }
  }
}

/** Whether the layer index in a module's name is asked for; true for every name where no index is. */
export function layerMatcher(config: Pick<LoraConfig, 'layersToTransform' | 'layersPattern'>): Matcher {
  const { layersToTransform, layersPattern } = config
  if (layersToTransform === null || (Array.isArray(layersToTransform) && layersToTransform.length === 0)) return () => true
  const wanted = new Set(typeof layersToTransform === 'number' ? [layersToTransform] : layersToTransform)
  const patterns = layersPattern === null ? [] : typeof layersPattern === 'string' ? [layersPattern] : layersPattern
  const regexes =
    patterns.length === 0 || layersPattern === ''
      ? [pythonRegex('.*?\\.[^.]*\\.(?P<idx>\\d+)\\.', 'match')]
      : patterns.map((pattern) => pythonRegex(`(?:^|.*?\\.)${pattern}\\.(?P<idx>\\d+)\\.`, 'match'))
  return (name) => {
    for (const regex of regexes) {
      const index = regex.exec(name)?.groups?.['idx']
      if (index !== undefined) return wanted.has(Number(index))
    }
    return false
  }
}

/** PEFT's answer for a module name, before the kind of the module is looked at. `all-linear` must be expanded before. */
export function targetMatcher(config: LoraConfig, targets: readonly string[] | string): Matcher {
  const { excludeModules, modulesToSave } = config
  const excluded = excludeModules === null || excludeModules.length === 0 ? () => false : nameMatcher(excludeModules)
  const saved = (modulesToSave ?? []).map((name) => pythonRegex(`(^|.*\\.)${name}($|\\..*)`, 'match'))
  const matches = nameMatcher(targets)
  const exact = new Set(typeof targets === 'string' ? [] : targets)
  const layer = layerMatcher(config)
  return (name) => {
    if (excluded(name) || saved.some((regex) => regex.test(name))) return false
    // A module that is named in full is meant, whatever layersToTransform says; a regular expression knows no layers.
    return exact.has(name) || (matches(name) && (typeof targets === 'string' || layer(name)))
  }
}

/** Whether a branch of the rank that a layer gets can be put on it: a grouped convolution takes multiples of its groups. */
function takesRank({ name, convolution }: TargetModule, config: LoraConfig): boolean {
  const groups = convolution?.groups ?? 1
  return groups === 1 || (patternValue(compilePatterns(config.rankPattern), 'rankPattern', name) ?? config.r) % groups === 0
}

/**
 * Names of all modules that `all-linear` means: every linear layer and convolution but the output head. Depthwise
 * convolutions, which the rank does not fit, are left out.
 */
const allLinear = (modules: ReadonlyMap<string, TargetModule>, config: LoraConfig): string[] =>
  [...modules.values()]
    .filter((module) => module.kind !== 'Embedding' && !module.isOutputHead && takesRank(module, config))
    .map(({ name }) => name)

/** The targets as PEFT matches them: `all-linear` expanded to names. */
function expand(modules: ReadonlyMap<string, TargetModule>, config: LoraConfig): readonly string[] | string {
  const { targetModules } = config
  if (targetModules === null)
    throw new InvalidOptionError('"targetModules" is not set; give a list of names, a regular expression or "all-linear"')
  return isAllLinear(targetModules) ? allLinear(modules, config) : targetModules
}

/** Names of the blocks that hold modules: `model.layers.0`, `model.layers`, `model`. */
function containers(modules: ReadonlyMap<string, TargetModule>): Set<string> {
  const names = new Set<string>()
  for (const name of modules.keys()) {
    for (let dot = name.lastIndexOf('.'); dot > 0; dot = name.lastIndexOf('.', dot - 1)) names.add(name.slice(0, dot))
  }
  for (const name of modules.keys()) names.delete(name)
  return names
}

/**
 * The value of a `rank_pattern` or `alpha_pattern` for a module: the first key that matches the end of its name.
 * PEFT files store the keys in alphabetical order, so an order that matters would be lost on saving: refused.
 */
function patternValue(patterns: readonly Pattern[], field: string, name: string): number | undefined {
  const hits = patterns.filter(({ regex }) => regex.test(name))
  const [first] = hits
  if (first === undefined) return undefined
  const stored = hits.reduce((a, b) => (compareCodePoints(b.key, a.key) < 0 ? b : a))
  if (stored.value !== first.value)
    throw new InvalidOptionError(
      `"${field}": both "${first.key}" (${first.value}) and "${stored.key}" (${stored.value}) match ${name}; the first would count now, ` +
        'but an adapter file keeps the keys in alphabetical order, so the other would count when it is loaded; make the keys exclusive',
    )
  return first.value
}

/** A key of `rank_pattern` or `alpha_pattern`, and its value. */
interface Pattern {
  readonly key: string
  readonly value: number
  readonly regex: RegExp
}

/** The value of the first key that matches, as a file is read: its keys are in the order that counts. */
export const firstValue = (patterns: readonly Pattern[], name: string): number | undefined =>
  patterns.find(({ regex }) => regex.test(name))?.value

/** The keys of a pattern as PEFT's `get_pattern_key` compiles them. */
export const compilePatterns = (patterns: Readonly<Record<string, number>>): Pattern[] =>
  Object.entries(patterns).map(([key, value]) => ({ key, value, regex: pythonRegex(`(.*\\.)?(${key})$`, 'match') }))

/** A module's name as the key of a pattern that matches it alone. */
export const exactly = (name: string): string => `^${name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}`

/**
 * The layers that a configuration adapts, in the order of the model, with rank, alpha and scale of each.
 *
 * PEFT's order of checks: excluded modules, modules to save, then the targets (a regular expression for the whole
 * name; or exact names, which pass over `layersToTransform`; or name endings). `rankPattern` and `alphaPattern`
 * change single modules.
 * @param options `anyRank`: ranks beyond the size of a matrix are useless, but adapters of others have them
 * @throws InvalidOptionError if nothing matches (with the nearest names), if something matches that cannot be adapted, or
 * if a rank is 0 or larger than its matrix
 */
export function matchTargets(
  modules: ReadonlyMap<string, TargetModule>,
  config: LoraConfig,
  options: { readonly anyRank?: boolean } = {},
): LoraTarget[] {
  if (isNoTarget(config.targetModules)) return noTargets(config)
  const targets = expand(modules, config)
  const matches = targetMatcher(config, targets)
  const matched = [...modules.values()].filter(({ name }) => matches(name))
  const block = [...containers(modules)].find(matches)
  if (block !== undefined)
    throw new InvalidOptionError(
      `"targetModules" ${JSON.stringify(config.targetModules)} matches ${block}, which is a block of layers and not a layer; ${adaptable(modules)}`,
    )
  if (matched.length === 0) throw nothingMatches(modules, config)
  const ranks = compilePatterns(config.rankPattern)
  const alphas = compilePatterns(config.alphaPattern)
  return matched.map((module) => {
    const { name, inFeatures, outFeatures, convolution } = module
    const r = patternValue(ranks, 'rankPattern', name) ?? config.r
    const alpha = patternValue(alphas, 'alphaPattern', name) ?? config.loraAlpha
    const inputs = (convolution?.kernel ?? []).reduce((product, length) => product * length, inFeatures)
    const largest = Math.min(inputs, outFeatures)
    if (!Number.isSafeInteger(r) || r <= 0 || (r > largest && options.anyRank !== true))
      throw new InvalidOptionError(
        `rank ${r} does not fit ${name} (${inputs} inputs, ${outFeatures} outputs); choose r from 1 to ${largest}`,
      )
    const groups = convolution?.groups ?? 1
    if (r % groups !== 0)
      throw new InvalidOptionError(
        `rank ${r} does not fit ${name}, a convolution with ${groups} groups; choose a multiple of ${groups}, or leave the layer out of the targets ("all-linear" does)`,
      )
    return { module, r, alpha, scale: scaleOf(alpha, r, config.useRslora) }
  })
}

/** @throws InvalidOptionError if nothing else is trained */
function noTargets({ bias, modulesToSave, trainableTokenIndices, loraDropout }: LoraConfig): LoraTarget[] {
  if (loraDropout > 0)
    throw new InvalidOptionError('"loraDropout" is of branches, and with "targetModules" "none" there are none; leave it out')
  if (bias === 'all' || (modulesToSave ?? []).length > 0 || trainableTokenIndices !== null) return []
  throw new InvalidOptionError(
    '"targetModules" is "none", and nothing else is trained; name what is: "bias" "all" (BitFit), "modulesToSave" or "trainableTokenIndices"',
  )
}

/** The last part of a dotted name: what a module is called where it lies. */
export const lastPart = (name: string): string => name.slice(name.lastIndexOf('.') + 1)

const adaptableNames = (modules: ReadonlyMap<string, TargetModule>): string[] => [
  ...new Set([...modules.values()].map(({ name }) => lastPart(name))),
]

const adaptable = (modules: ReadonlyMap<string, TargetModule>): string =>
  [`layers that can be adapted: ${adaptableNames(modules).join(', ')}`, ...unnamedNote(modules)].join('; ')

/** Why names of layers are not what one expects, where a file does not tell them; nothing where it does. */
export function unnamedNote(modules: ReadonlyMap<string, TargetModule>): string[] {
  const unnamed = [...modules.values()].flatMap(({ name, unnamed }) => (unnamed === true ? [name] : []))
  if (unnamed.length === 0) return []
  return [
    `the file does not say what ${unnamed.length} of its ${modules.size} layers were called (${unnamed.slice(0, 3).join(', ')}${unnamed.length > 3 ? ', …' : ''}), ` +
      "so they bear the names of values, under which PEFT's adapters do not find them. Quantisers and optimisers drop what dynamo's export notes: " +
      'run them on the TorchScript export (dynamo=False), whose nodes are called after their layers',
  ]
}

function nothingMatches(modules: ReadonlyMap<string, TargetModule>, config: LoraConfig): InvalidOptionError {
  const { targetModules, excludeModules, layersToTransform, layersPattern, modulesToSave } = config
  const wanted = typeof targetModules === 'string' ? [targetModules] : (targetModules ?? [])
  const known = adaptableNames(modules)
  // Names that are there were not misspelt: something else leaves them out.
  const strange = wanted.map(lastPart).filter((name) => !known.includes(name))
  const nearest = [...new Set(strange.flatMap((name) => nearestNames(name, known)))]
  const also = Object.entries({ excludeModules, modulesToSave, layersToTransform, layersPattern }).filter(
    ([, value]) => value !== null,
  )
  return new InvalidOptionError(
    [
      `"targetModules" ${JSON.stringify(targetModules)} matches no layer of the model`,
      ...(also.length === 0 ? [] : [`with ${also.map(([key, value]) => `${key} ${JSON.stringify(value)}`).join(', ')}`]),
      ...(nearest.length === 0 ? [] : [`did you mean ${nearest.join(', ')}?`]),
      adaptable(modules),
    ].join('; '),
  )
}

/**
 * PEFT's `_find_minimal_target_modules`: the shortest name endings that cover the targets and no other module.
 * @param others names of modules that must not match
 */
export function minimalSuffixes(targets: readonly string[], others: Iterable<string>): string[] {
  /** Endings of a name, shortest first: `a.b.c` gives c, b.c, a.b.c. */
  const endings = (name: string): string[] => {
    const parts = name.split('.')
    return parts.map((_, i) => parts.slice(parts.length - 1 - i).join('.'))
  }
  const forbidden = new Set([...others].flatMap(endings))
  const compareLists = (a: readonly string[], b: readonly string[]): number => {
    for (let i = 0; i < a.length && i < b.length; i++) if (a[i] !== b[i]) return compareCodePoints(a[i]!, b[i]!)
    return a.length - b.length
  }
  const sorted = [...new Set(targets)]
    .map((name) => ({ name, endings: endings(name) }))
    .sort((a, b) => compareLists(a.endings, b.endings))
  const required = new Set<string>()
  for (const { name, endings } of sorted) {
    if ([...required].some((suffix) => name.endsWith(`.${suffix}`))) continue
    const suffix = endings.find((ending) => !required.has(ending) && !forbidden.has(ending))
    if (suffix !== undefined) required.add(suffix)
  }
  return required.size === 0 ? [...new Set(targets)] : [...required]
}

/**
 * What `target_modules` of adapter_config.json says: `all-linear` is replaced by the names it means, and 20 names or
 * more by the shortest endings, as PEFT does. Lists are sorted (PEFT's order is random).
 */
export function targetModulesForFile(modules: ReadonlyMap<string, TargetModule>, config: LoraConfig): readonly string[] | string {
  if (isNoTarget(config.targetModules)) return NO_TARGETS_IN_FILES
  const targets = expand(modules, config)
  if (typeof targets === 'string') return targets
  const unique = [...new Set(targets)].sort(compareCodePoints)
  if (unique.length < MIN_TARGETS_FOR_SUFFIXES) return unique
  const isTarget = nameMatcher(unique)
  const others = [...modules.keys(), ...containers(modules)].filter((name) => !isTarget(name))
  const shorter = minimalSuffixes(unique, others)
  return shorter.length < unique.length ? shorter.sort(compareCodePoints) : unique
}
