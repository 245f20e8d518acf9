/** @file Keys of adapter files as PEFT and trainers wrote them over the years, brought to the names that are used here. */
import { describe, expect, it } from 'vitest'
import { InvalidAdapterError } from '../errors.js'
import { float32 } from '../graph/constants.js'
import { plainKeys } from './peft-keys.js'

const at = 'base_model.model.model.layers.0.self_attn.q_proj'
const tensor = (value: number) => float32([1], Float32Array.of(value))
/** Keys and values after reading. */
const read = (keys: readonly string[]): Record<string, number> =>
  Object.fromEntries(
    [...plainKeys(new Map(keys.map((key, i) => [key, tensor(i)])), 'x')].map(([key, { data }]) => [key, Number(data[0])]),
  )

describe('keys of an adapter', () => {
  it('of PEFT stay as they are', () => {
    const keys = [
      ...[`${at}.lora_A.weight`, `${at}.lora_B.weight`, `${at}.lora_B.bias`, `${at}.lora_magnitude_vector`],
      ...['base_model.model.wte.lora_embedding_A', 'base_model.model.wte.lora_embedding_B'],
      ...[`${at}.base_layer.bias`, 'base_model.model.classifier.weight', 'base_model.model.classifier.dense.bias'],
      'base_model.model.wte.token_adapter.trainable_tokens_delta',
    ]
    expect(Object.keys(read(keys))).toEqual(keys)
  })

  it.each([
    [`${at}.lora_A.default.weight`, `${at}.lora_A.weight`],
    [`${at}.lora_B.my-adapter.weight`, `${at}.lora_B.weight`],
    [`${at}.lora_B.default.bias`, `${at}.lora_B.bias`],
    [`${at}.lora_magnitude_vector.default`, `${at}.lora_magnitude_vector`],
    [`${at}.lora_magnitude_vector.weight`, `${at}.lora_magnitude_vector`],
    [`${at}.lora_magnitude_vector.default.weight`, `${at}.lora_magnitude_vector`],
    ['base_model.model.wte.lora_embedding_A.default', 'base_model.model.wte.lora_embedding_A'],
    [
      'base_model.model.wte.token_adapter.trainable_tokens_delta.default',
      'base_model.model.wte.token_adapter.trainable_tokens_delta',
    ],
    [`module.${at}.lora_A.weight`, `${at}.lora_A.weight`],
    [
      '_fsdp_wrapped_module.base_model.model.model.layers.0._fsdp_wrapped_module.self_attn.q_proj.lora_A.default.weight',
      `${at}.lora_A.weight`,
    ],
    [
      '_orig_mod.base_model.model.model.layers.0._checkpoint_wrapped_module.self_attn.q_proj.lora_A.weight',
      `${at}.lora_A.weight`,
    ],
    [`base_model.model.${at}.lora_A.weight`, `${at}.lora_A.weight`],
    ['model.layers.0.self_attn.q_proj.lora_A.weight', `${at}.lora_A.weight`],
    ['base_model.model.score.modules_to_save.default.weight', 'base_model.model.score.weight'],
    ['base_model.model.classifier.modules_to_save.default.dense.weight', 'base_model.model.classifier.dense.weight'],
    ['base_model.model.classifier.modules_to_save.dense.weight', 'base_model.model.classifier.dense.weight'],
    ['base_model.model.lm_head.modules_to_save.weight', 'base_model.model.lm_head.weight'],
  ])('%s', (given, plain) => {
    expect(Object.keys(read([given]))).toEqual([plain])
  })

  it('the plain copy of a saved module goes before its companions, in any order', () => {
    const keys = ['lm_head.modules_to_save.weight', 'lm_head.original_module.weight', 'lm_head.weight'].map((k) => `base_model.model.${k}`) // prettier-ignore
    expect(read(keys)).toEqual({ 'base_model.model.lm_head.weight': 2 })
    expect(read(keys.reverse())).toEqual({ 'base_model.model.lm_head.weight': 0 })
  })

  it("an adapter's name that its layers tell is taken out of saved modules too", () => {
    expect(read([`${at}.lora_A.mine.weight`, 'base_model.model.score.modules_to_save.mine.weight'])).toEqual({
      [`${at}.lora_A.weight`]: 0,
      'base_model.model.score.weight': 1,
    })
  })

  it('the table under trained tokens is the one under a branch', () => {
    expect(read(['base_model.model.wte.token_adapter.base_layer.weight'])).toEqual({
      'base_model.model.wte.base_layer.weight': 0,
    })
  })

  it('several adapters in one file are refused by name', () => {
    expect(() => read([`${at}.lora_A.one.weight`, `${at}.lora_A.two.weight`])).toThrow(InvalidAdapterError)
    expect(() => read([`${at}.lora_A.one.weight`, `${at}.lora_A.two.weight`])).toThrow(/several adapters \(one, two\)/)
    expect(() => read([`${at}.lora_A.weight`, `${at}.lora_A.default.weight`])).toThrow(/two tensors are both/)
  })
})
