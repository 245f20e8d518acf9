/** @file Checkpoints whose weights are codes of a quantiser: refused by its name, since nothing here reads them. */
import { InvalidModelError } from '../errors.js'
import { isObject } from '../util/json.js'
import type { ConfigReader } from './config-reader.js'

/** Quantisers by their `quant_method`, as people call them. */
const known: Readonly<Record<string, string>> = {
  bitsandbytes: 'bitsandbytes',
  gptq: 'GPTQ',
  awq: 'AWQ',
  fp8: 'FP8',
  fbgemm_fp8: 'FP8 (fbgemm)',
  'compressed-tensors': 'compressed-tensors',
}

/** Tensors that each leaves beside, or in place of, a layer's weight. */
const traces: readonly (readonly [RegExp, string])[] = [
  [/\.(absmax|nested_absmax|quant_map|nested_quant_map|SCB)$|\.quant_state\./, 'bitsandbytes'],
  [/\.(qweight|qzeros|g_idx)$/, 'GPTQ or AWQ'],
  [/\.(weight_scale|weight_scale_inv|weight_packed|input_scale)$/, 'FP8 or compressed-tensors'],
]

const refusal = (source: string, who: string, where: string): InvalidModelError =>
  new InvalidModelError(
    `${source}: the weights are quantised by ${who} (${where}), and such codes cannot be read; use the model that they were made from, ` +
      'with weights in 16 or 32 bits, which adapters trained on the quantised one fit as well',
  )

/** @throws InvalidModelError for a config.json with a `quantization_config` that is in force */
export function refuseQuantizedConfig({ json, source }: ConfigReader): void {
  const inner = isObject(json['text_config']) ? json['text_config'] : {}
  for (const config of [json['quantization_config'], json['compression_config'], inner['quantization_config']]) {
    if (!isObject(config) || Object.keys(config).length === 0) continue
    const { quant_method: method, load_in_4bit: in4, load_in_8bit: in8 } = config
    const is8or4 = in4 === true || in8 === true
    // bitsandbytes switched off: plain weights.
    if (in4 === false && in8 === false) continue
    const name = typeof method === 'string' ? method : is8or4 ? 'bitsandbytes' : 'a quantiser that it does not name'
    const bits = in4 === true ? ' in 4 bits' : in8 === true ? ' in 8 bits' : typeof config['bits'] === 'number' ? ` in ${config['bits']} bits` : '' // prettier-ignore
    throw refusal(source, `${Object.hasOwn(known, name) ? known[name] : name}${bits}`, '"quantization_config"')
  }
}

/** @throws InvalidModelError for tensors that only quantised checkpoints have */
export function refuseQuantizedTensors(names: Iterable<string>, source: string): void {
  for (const name of names)
    for (const [pattern, who] of traces) if (pattern.test(name)) throw refusal(source, who, `tensor "${name}"`)
}
