/** @file Names of a new adapter that match nothing are refused, each option's with the nearest name that there is. */
import { describe, expect, it } from 'vitest'
import { createAdapter } from '../../src/adapter/adapter.js'
import { AdapterSet } from '../../src/adapter/adapter-set.js'
import { InvalidOptionError } from '../../src/errors.js'
import type { LoraOptions } from '../../src/adapter/adapter.js'
import { llamaConfig, testEnvironment, tinyModel } from '../support/training.js'

const model = tinyModel(llamaConfig, testEnvironment())
const refusal = (options: LoraOptions): string => {
  try {
    createAdapter(model, { r: 2, ...options })
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidOptionError)
    return (error as Error).message
  }
  throw new Error('expected a refusal')
}

describe('names of a new adapter that match nothing', () => {
  it.each<[LoraOptions, RegExp]>([
    [
      { targetModules: ['q_proj', 'vproj'] },
      /^"targetModules" names "vproj", which no layer of the model is called; did you mean v_proj/,
    ],
    [{ targetModules: ['q_proj', 'self_attn.vproj'] }, /names "self_attn\.vproj".* did you mean self_attn\.v_proj/],
    [
      { targetModules: ['q_proj', 'input_layernorm'] },
      /"targetModules" names "input_layernorm", which no layer of the model is called/,
    ],
    [{ targetModules: ['q_proj', 'mlp'] }, /"targetModules" .*mlp.* is a block of layers and not a layer/],
    [
      { excludeModules: ['kproj'], targetModules: 'all-linear' },
      /^"excludeModules" names "kproj".*did you mean k_proj.*exclude nothing/,
    ],
    [{ excludeModules: ['self_attn'] }, /^"excludeModules" names "self_attn", which is a block of layers/],
    [{ excludeModules: '.*kproj' }, /^"excludeModules" "\.\*kproj" matches no layer/],
    [{ modulesToSave: ['lmhead'] }, /^"modulesToSave" names "lmhead".* did you mean lm_head/],
    [{ modulesToSave: ['score'] }, /^"modulesToSave" names "score", but the model has no such module/],
    [
      { rankPattern: { qproj: 1 } },
      /^"rankPattern" has the key "qproj", which matches none of the adapted layers; did you mean q_proj/,
    ],
    [{ rankPattern: { k_proj: 1 } }, /^"rankPattern" has the key "k_proj"/],
    [{ alphaPattern: { q_proj: 4, 'layers.9.*v_proj': 1 } }, /^"alphaPattern" has the key "layers\.9\.\*v_proj"/],
    [{ layersToTransform: [0, 2] }, /^"layersToTransform" names layer 2, in which nothing is adapted; the model has no layer of that number/], // prettier-ignore
    [{ layersToTransform: [0], layersPattern: ['layers', 'blocks'] }, /^"layersPattern" names "blocks"/],
    [{ trainableTokenIndices: { embed: [1] } }, /^"trainableTokenIndices" names "embed", which is no embedding of the model/],
  ])('%o', (options, message) => {
    expect(refusal(options)).toMatch(message)
  })

  it.each<LoraOptions>([
    { targetModules: ['q_proj', 'model.layers.1.mlp.up_proj', 'lm_head'] },
    { targetModules: 'all-linear', excludeModules: ['lm_head', 'o_proj'] },
    { targetModules: ['q_proj'], layersToTransform: [1], rankPattern: { q_proj: 1 } },
    { modulesToSave: ['embed_tokens'], excludeModules: '.*down_proj' },
    { modulesToSave: [], excludeModules: [], rankPattern: {}, layersToTransform: [] },
  ])('%o is fine', (options) => {
    expect(() => createAdapter(model, { r: 2, ...options })).not.toThrow()
  })

  it('a set of adapters reserves layers by names that are there', () => {
    expect(() => new AdapterSet(model, { targetModules: ['q_proj', 'vproj'] })).toThrow(/names "vproj"/)
  })
})
