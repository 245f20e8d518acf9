/** @file What of PEFT's configuration we compute. Everything else that changes the maths is refused, by key and value. */
import type { JsonValue } from '../util/python-json.js'

const isNothing = (value: JsonValue): boolean => value === null || (typeof value === 'object' && Object.keys(value).length === 0)

/**
 * Keys whose value changes the maths of the adapted model, with the values that we build. A new feature adds its values
 * here. Not listed, because only training would differ: `eva_config`, `loftq_config`, `monteclora_config`,
 * `velora_config`, `lora_ga_config`, `corda_config`, `megatron_*`.
 */
const supportedValues: Readonly<Record<string, (value: JsonValue) => boolean>> = {
  target_parameters: isNothing,
  alora_invocation_tokens: (v) => v === null,
  arrow_config: (v) => v === null,
  kasa_config: (v) => v === null,
  use_bdlora: (v) => v === null || v === false,
  use_qalora: (v) => v === false,
  ensure_weight_tying: (v) => v === false,
  // pissa, olora, corda, loftq and lora_ga change the base weights when the adapter is made: B·A alone is not the difference.
  init_lora_weights: (v) => typeof v === 'boolean' || ['gaussian', 'eva', 'orthogonal', 'mica'].includes(v as string),
}

/** Whether an adapter with this key and value, in PEFT's names, can be computed. True for keys that change no maths. */
export const isSupported = (key: string, value: JsonValue): boolean =>
  !Object.hasOwn(supportedValues, key) || supportedValues[key]!(value)
