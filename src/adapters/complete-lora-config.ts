/** @file PEFT's defaults and rules of a LoRA configuration. */
import { InvalidOptionError } from '../errors.js'
import type { JsonValue } from '../util/python-json.js'
import { peftKey, type LoraConfig } from './lora-config.js'
import { loraDefaults, loraFieldTable } from './lora-fields.js'
import { isSupported } from './supported.js'

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
