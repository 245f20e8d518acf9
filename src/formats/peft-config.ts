/** @file `adapter_config.json` of PEFT 0.21: its 41 keys, what we read of them, and what we refuse because it changes the maths. */
import { InvalidAdapterError } from '../errors.js'
import { peftKey, type LoraConfig } from '../adapters/lora-config.js'
import { loraConfigProblem } from '../adapters/complete-lora-config.js'
import { loraDefaults } from '../adapters/lora-fields.js'
import { isSupported } from '../adapters/supported.js'
import { compareCodePoints, PythonFloat, pythonJson, type JsonValue } from '../util/python-json.js'
import { parseJsonObject } from '../util/json.js'

/** The other keys that PEFT 0.21 writes, with its defaults. They are carried along in `other`. */
const otherDefaults: Readonly<Record<string, JsonValue>> = {
  alora_invocation_tokens: null,
  arrow_config: null,
  auto_mapping: null,
  corda_config: null,
  ensure_weight_tying: false,
  eva_config: null,
  inference_mode: true,
  kasa_config: null,
  loftq_config: {},
  lora_ga_config: null,
  megatron_config: null,
  megatron_core: 'megatron.core',
  monteclora_config: null,
  peft_type: 'LORA',
  peft_version: '0.21.0',
  qalora_group_size: 16,
  target_parameters: null,
  use_bdlora: null,
  use_qalora: false,
  velora_config: null,
}

const ownFields = (Object.keys(loraDefaults) as (keyof LoraConfig)[]).filter((field) => field !== 'other')

/** What an `adapter_config.json` says. */
export interface ParsedAdapterConfig {
  /** What it says, in camelCase. */
  readonly config: LoraConfig
  /** Keys that PEFT 0.21 does not have, kept for writing. */
  readonly unknownKeys: Readonly<Record<string, JsonValue>>
}

/**
 * Reads the text of an `adapter_config.json`.
 * @param source the file, for messages
 * @throws InvalidAdapterError naming the key and its value
 */
export function parseAdapterConfig(text: string, source: string): ParsedAdapterConfig {
  const given = parseJsonObject(text, source, InvalidAdapterError) as Record<string, JsonValue>
  if (given['peft_type'] !== 'LORA')
    throw new InvalidAdapterError(
      `${source}: "peft_type" must be "LORA", got ${JSON.stringify(given['peft_type'])}; other methods of PEFT are not supported`,
    )
  const fieldOf = new Map(ownFields.map((field) => [peftKey(field), field]))
  const fields: Record<string, JsonValue> = {}
  const other: Record<string, JsonValue> = {}
  const unknownKeys: Record<string, JsonValue> = {}
  for (const [key, value] of Object.entries(given)) {
    const field = fieldOf.get(key)
    if (field !== undefined) fields[field] = value
    else if (Object.hasOwn(otherDefaults, key)) other[key] = value
    else unknownKeys[key] = value
    checkSupported(key, value, field !== undefined || Object.hasOwn(otherDefaults, key), source)
  }
  // PEFT's JSON writes null for an empty pattern in some versions.
  for (const field of ['rankPattern', 'alphaPattern']) if (fields[field] === null) delete fields[field]
  const config = { ...loraDefaults, ...fields, other } as LoraConfig
  const problem = loraConfigProblem(config, peftKey)
  if (problem !== undefined) throw new InvalidAdapterError(`${source}: ${problem}`)
  return { config, unknownKeys }
}

function checkSupported(key: string, value: JsonValue, known: boolean, source: string): void {
  const refusal = (): InvalidAdapterError =>
    new InvalidAdapterError(
      `${source}: "${key}": ${JSON.stringify(value)} is not supported, and ignoring it would change the results; ` +
        'use an adapter without it, or merge the adapter in Python first',
    )
  if (!isSupported(key, value)) throw refusal()
  if (!known && key.startsWith('use_') && value !== false && value !== null) throw refusal()
}

/** A copy without repetition, sorted; strings and null stay. PEFT holds these lists as sets, whose order is random. */
const sortedSet = (value: readonly string[] | string | null): readonly string[] | string | null =>
  typeof value === 'string' || value === null ? value : [...new Set(value)].sort(compareCodePoints)

/** The text of `adapter_config.json` as `save_pretrained` writes it: all keys, sorted, `inference_mode` true. */
export function formatAdapterConfig({
  config,
  unknownKeys,
}: {
  config: LoraConfig
  unknownKeys?: Readonly<Record<string, unknown>>
}): string {
  const known = Object.fromEntries(ownFields.map((field) => [peftKey(field), config[field]]))
  return pythonJson({
    ...(unknownKeys as Readonly<Record<string, JsonValue>> | undefined),
    ...otherDefaults,
    ...config.other,
    ...known,
    lora_dropout: new PythonFloat(config.loraDropout),
    target_modules: sortedSet(config.targetModules),
    exclude_modules: sortedSet(config.excludeModules),
    peft_type: 'LORA',
    inference_mode: true,
  })
}
