/** @file The options of a LoRA adapter: PEFT's `LoraConfig` in camelCase, its defaults and its rules. */
import { InvalidOptionError } from '../errors.js'
import type { JsonValue } from '../util/python-json.js'
import { loraDefaults, loraFieldTable } from './lora-fields.js'
import { isSupported } from './supported.js'

/** How A and B begin: true, false, `gaussian`, and in adapters of others further names that PEFT knows. */
export type InitLoraWeights = boolean | string

/** PEFT 0.21's `LoraConfig`, as far as we read it; what we do not read travels in `other`. */
export interface LoraConfig {
  /** Rank of A and B, above 0. */
  readonly r: number
  /** Numerator of the scale. */
  readonly loraAlpha: number
  /** Probability, in [0, 1), of dropping an element of the branch's input while training. */
  readonly loraDropout: number
  /** Names or name endings, a Python regular expression for the whole name, `all-linear`, or null for the architecture's default. */
  readonly targetModules: readonly string[] | string | null
  /** Same rule as `targetModules`; what it matches is left alone. */
  readonly excludeModules: readonly string[] | string | null
  /** Modules trained in full and stored whole; never adapted. */
  readonly modulesToSave: readonly string[] | null
  /** Kept for files only: the orientation is decided by the kind of the layer (PEFT overwrites the flag). */
  readonly fanInFanOut: boolean
  /** Biases of the base that are trained and stored. */
  readonly bias: 'none' | 'all' | 'lora_only'
  /** Scale alpha/√r instead of alpha/r (Kalajdzievski, 2023). */
  readonly useRslora: boolean
  /** Weight-decomposed LoRA (Liu et al., 2024). */
  readonly useDora: boolean
  /** B has a bias. */
  readonly loraBias: boolean
  /** true, false, `gaussian`, … (how A and B begin). */
  readonly initLoraWeights: InitLoraWeights
  /** Ranks by regular expressions for the end of module names; the first that matches counts. */
  readonly rankPattern: Readonly<Record<string, number>>
  /** Alphas by regular expressions for the end of module names; the first that matches counts. */
  readonly alphaPattern: Readonly<Record<string, number>>
  /** Keeps only these layer indices. */
  readonly layersToTransform: number | readonly number[] | null
  /** Name of the list of layers, for example `layers`. */
  readonly layersPattern: string | readonly string[] | null
  /** Rows of the embedding that are trained, alone; by the embedding's name where it is not the first. */
  readonly trainableTokenIndices: readonly number[] | Readonly<Record<string, readonly number[]>> | null
  /** Ranges [first, end) of the base's layers that stand in a row in the adapted model; those named twice are copies with adapters of their own. */
  readonly layerReplication: readonly (readonly [number, number])[] | null
  /** PEFT's task: `CAUSAL_LM`, `SEQ_CLS`, … */
  readonly taskType: string | null
  /** Id or folder of the base model. */
  readonly baseModelNameOrPath: string | null
  /** Revision of the base model on the hub. */
  readonly revision: string | null
  /** Keys that PEFT knows and we only carry along, by PEFT's own names. */
  readonly other: Readonly<Record<string, JsonValue>>
}

/** PEFT's name of a field: `targetModules` is `target_modules`. */
export const peftKey = (field: keyof LoraConfig): string => field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

/** `all-linear` in any spelling of its letters, as PEFT reads it. */
export const isAllLinear = (targets: LoraConfig['targetModules']): boolean =>
  typeof targets === 'string' && targets.toLowerCase() === 'all-linear'

const fieldNames = Object.keys(loraFieldTable) as (keyof LoraConfig)[]

/** Names that become patterns, each of which is compared with each layer. */
const MOST_PATTERNS = 10_000

const isEmpty = (value: string | readonly unknown[] | null): boolean => value === null || value.length === 0

/** What is wrong with a configuration, in PEFT's names of the fields, or undefined. */
export function loraConfigProblem(
  config: LoraConfig,
  nameOf: (field: keyof LoraConfig) => string = (f) => f,
): string | undefined {
  for (const field of fieldNames) {
    const { fits, must } = loraFieldTable[field].is
    if (!fits(config[field])) return `"${nameOf(field)}" must ${must}, got ${JSON.stringify(config[field])}`
  }
  const { targetModules, layersToTransform, layersPattern } = config
  for (const field of ['modulesToSave', 'layersPattern', 'rankPattern', 'alphaPattern'] as const) {
    const value = config[field]
    const count = value === null || typeof value === 'string' ? 0 : Object.keys(value).length
    if (count > MOST_PATTERNS) return `"${nameOf(field)}" has ${count} entries, more than ${MOST_PATTERNS}`
  }
  if (typeof targetModules === 'string') {
    for (const field of ['layersToTransform', 'layersPattern'] as const)
      if (config[field] !== null)
        return `"${nameOf(field)}" cannot be combined with "${nameOf('targetModules')}" as one string (${JSON.stringify(targetModules)}); list the names instead`
  }
  if (!isEmpty(layersPattern) && layersToTransform === null)
    return `"${nameOf('layersPattern')}" needs "${nameOf('layersToTransform')}" as well`
  // The copies of a layer would share the bias that is trained.
  if (config.layerReplication !== null && config.bias !== 'none')
    return `"${nameOf('layerReplication')}" cannot be combined with "${nameOf('bias')}": ${JSON.stringify(config.bias)}`
  if (config.loraBias && config.useDora) return `"${nameOf('loraBias')}" cannot be combined with "${nameOf('useDora')}"`
  if (config.loraBias && typeof config.initLoraWeights === 'string')
    return `"${nameOf('loraBias')}" needs "${nameOf('initLoraWeights')}" true or false, got ${JSON.stringify(config.initLoraWeights)}`
  return undefined
}

/**
 * A whole configuration from the fields that are given: PEFT's defaults for the rest, the architecture's targets where
 * none are named. Fields set to undefined count as not given.
 * @throws InvalidOptionError naming the field, what is expected and what was found
 */
export function completeLoraConfig(fields: Partial<LoraConfig>, defaultTargetModules: readonly string[]): LoraConfig {
  const unknown = Object.keys(fields).find((field) => !Object.hasOwn(loraFieldTable, field))
  if (unknown !== undefined) throw new InvalidOptionError(`unknown LoRA option "${unknown}"; known: ${fieldNames.join(', ')}`)
  const given = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<LoraConfig>
  const config: LoraConfig = { ...loraDefaults, ...given }
  const problem = loraConfigProblem(config)
  if (problem !== undefined) throw new InvalidOptionError(`LoRA option ${problem}`)
  for (const [field, value] of Object.entries(given) as [keyof LoraConfig, JsonValue][])
    // How a new adapter begins is checked where it begins.
    if (field !== 'initLoraWeights' && !isSupported(peftKey(field), value))
      throw new InvalidOptionError(`LoRA option "${field}": ${JSON.stringify(value)} is not supported yet`)
  for (const [key, value] of Object.entries(config.other))
    if (!isSupported(key, value))
      throw new InvalidOptionError(
        `LoRA option other: "${key}": ${JSON.stringify(value)} is not supported, and ignoring it would change the results`,
      )
  if (!isEmpty(config.targetModules)) return config
  if (defaultTargetModules.length === 0)
    throw new InvalidOptionError(
      'this architecture has no default target modules; set "targetModules" (a list of names, or "all-linear")',
    )
  return { ...config, targetModules: [...defaultTargetModules] }
}
