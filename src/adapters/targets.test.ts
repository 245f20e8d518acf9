/**
 * @file Which layers an adapter's config means, against answers of Python's PEFT (test/fixtures/peft-matching), and what is
 * told where none match.
 */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { InvalidOptionError } from '../errors.js'
import type { TargetModule, ModuleKind } from '../graph/target-module.js'
import type { LoraConfig } from './lora-config.js'
import { completeLoraConfig } from './complete-lora-config.js'
import { compilePatterns, matchTargets, minimalSuffixes, targetMatcher, targetModulesForFile } from './targets.js'

interface Cases {
  names: string[]
  matching: { config: Record<string, unknown>; matched: string[] }[]
  patterns: { keys: string[]; hits: Record<string, string> }[]
  minimal: { targets: string[]; others: string[]; minimal: string[] }[]
}
/** Answers of Python's PEFT, from test/oracle/write-peft-matching.py. */
const golden = JSON.parse(readFileSync('test/fixtures/peft-matching/cases.json', 'utf8')) as Cases

const camel = (fields: Record<string, unknown>): Partial<LoraConfig> =>
  Object.fromEntries(Object.entries(fields).map(([k, v]) => [k.replace(/_(.)/g, (_, c: string) => c.toUpperCase()), v]))

const module = (
  name: string,
  kind: ModuleKind = 'Linear',
  inFeatures = 64,
  outFeatures = 32,
  isOutputHead = false,
): TargetModule => ({
  name,
  kind,
  weight: `${name}.weight`,
  bias: undefined,
  input: 'x',
  output: 'y',
  inFeatures,
  outFeatures,
  isOutputHead,
})
const modules = (...list: TargetModule[]): Map<string, TargetModule> => new Map(list.map((m) => [m.name, m]))
const llama = (layers: number): Map<string, TargetModule> =>
  modules(
    module('model.embed_tokens', 'Embedding', 96, 64),
    ...Array.from({ length: layers }, (_, i) => [
      ...['q_proj', 'k_proj', 'v_proj', 'o_proj'].map((p) => module(`model.layers.${i}.self_attn.${p}`)),
      ...['gate_proj', 'up_proj', 'down_proj'].map((p) => module(`model.layers.${i}.mlp.${p}`)),
    ]).flat(),
    module('lm_head', 'Linear', 64, 96, true),
  )
const config = (fields: Partial<LoraConfig>): LoraConfig => completeLoraConfig(fields, ['q_proj', 'v_proj'])
const refusal = (fields: Partial<LoraConfig>, of = llama(2)): string => {
  try {
    matchTargets(of, config(fields))
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidOptionError)
    return (error as Error).message
  }
  throw new Error('expected a refusal')
}

describe('the same answers as PEFT', () => {
  it.each(golden.matching.map((c) => [JSON.stringify(c.config), c] as const))('%s', (_, { config: fields, matched }) => {
    const complete = { ...config({}), ...camel(fields) }
    const matches = targetMatcher(complete, complete.targetModules!)
    expect(golden.names.filter(matches)).toEqual(matched)
  })
  it.each(golden.patterns.map((c) => [c.keys.join(' '), c] as const))('pattern %s', (_, { keys, hits }) => {
    const compiled = compilePatterns(Object.fromEntries(keys.map((key) => [key, 1])))
    const found = golden.names.map((name) => [name, compiled.find(({ regex }) => regex.test(name))?.key] as const)
    expect(Object.fromEntries(found.filter(([, key]) => key !== undefined))).toEqual(hits)
  })
  it.each(golden.minimal.map((c, i) => [i, c] as const))('minimal suffixes %i', (_, { targets, others, minimal }) => {
    expect(minimalSuffixes(targets, others).sort()).toEqual(minimal)
  })
})

describe('matchTargets', () => {
  it('gives rank, alpha and scale of each layer', () => {
    const targets = matchTargets(
      llama(2),
      config({ r: 4, loraAlpha: 8, rankPattern: { 'layers\\.0\\.self_attn\\.q_proj': 2 }, alphaPattern: { v_proj: 16 } }),
    )
    expect(targets.map(({ module: { name }, r, alpha, scale }) => [name, r, alpha, scale])).toEqual([
      ['model.layers.0.self_attn.q_proj', 2, 8, 4],
      ['model.layers.0.self_attn.v_proj', 4, 16, 4],
      ['model.layers.1.self_attn.q_proj', 4, 8, 2],
      ['model.layers.1.self_attn.v_proj', 4, 16, 4],
    ])
    expect(matchTargets(llama(1), config({ r: 4, loraAlpha: 8, useRslora: true }))[0]!.scale).toBe(4)
    expect(matchTargets(llama(1), config({ r: 3, loraAlpha: 8, useRslora: true }))[0]!.scale).toBeCloseTo(8 / Math.sqrt(3), 12)
  })

  it('all-linear means every linear layer but the head and the embedding, in any letters', () => {
    for (const targetModules of ['all-linear', 'All-Linear']) {
      const names = matchTargets(llama(2), config({ targetModules })).map((t) => t.module.name)
      expect(names).toHaveLength(14)
      expect(names).not.toContain('lm_head')
    }
    expect(
      matchTargets(llama(1), config({ targetModules: 'all-linear', excludeModules: ['mlp.up_proj', 'o_proj'] })),
    ).toHaveLength(5)
    const gpt2 = modules(module('transformer.h.0.attn.c_attn', 'Conv1D'), module('transformer.wte', 'Embedding'))
    expect(matchTargets(gpt2, config({ targetModules: 'all-linear' }))).toHaveLength(1)
  })

  it('adapts the head where it is named', () => {
    expect(matchTargets(llama(1), config({ targetModules: ['lm_head'] })).map((t) => t.module.name)).toEqual(['lm_head'])
  })

  it('names the nearest layers and all candidates where nothing matches', () => {
    const message = refusal({ targetModules: ['query_proj', 'attn.vproj'] })
    expect(message).toMatch(
      /"targetModules" \["query_proj","attn.vproj"\] matches no layer of the model; did you mean q_proj, .*v_proj.*\?/,
    )
    expect(message).toContain(
      'layers that can be adapted: embed_tokens, q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj, lm_head',
    )
    expect(refusal({ targetModules: ['q_proj'], layersToTransform: [7] })).toContain(
      'matches no layer of the model; with layersToTransform [7]',
    )
    expect(refusal({ targetModules: 'q_proj' })).toContain('"targetModules" "q_proj" matches no layer')
    expect(refusal({ targetModules: ['q_proj'], excludeModules: ['q_proj'] })).toContain('with excludeModules ["q_proj"]')
  })

  it('refuses what cannot be adapted by name', () => {
    expect(refusal({ targetModules: ['mlp'] })).toMatch(/matches model.layers.0.mlp, which is a block of layers/)
    expect(refusal({ targetModules: '.*attn.*' })).toMatch(/matches model.layers.0.self_attn, which is a block of layers/)
  })

  it('refuses ranks that do not fit', () => {
    expect(refusal({ r: 33 })).toMatch(
      /rank 33 does not fit model.layers.0.self_attn.q_proj \(64 inputs, 32 outputs\); choose r from 1 to 32/,
    )
    expect(refusal({ rankPattern: { 'layers.1.self_attn.v_proj': 100 } })).toMatch(
      /rank 100 does not fit model.layers.1.self_attn.v_proj/,
    )
    expect(() => config({ r: 0 })).toThrow('LoRA option "r" must be an integer above 0, got 0')
    expect(() => config({ r: 2.5 })).toThrow('got 2.5')
    expect(() => config({ rankPattern: { q_proj: 0 } })).toThrow(
      '"rankPattern" must be an object of integers above 0, got {"q_proj":0}',
    )
  })

  it('refuses patterns whose order would be lost in the file', () => {
    expect(refusal({ rankPattern: { q_proj: 4, 'layers.0.self_attn.q_proj': 2 } })).toMatch(
      /"rankPattern": both "q_proj" \(4\) and "layers.0.self_attn.q_proj" \(2\) match model.layers.0.self_attn.q_proj/,
    )
    expect(matchTargets(llama(1), config({ rankPattern: { 'layers.0.self_attn.q_proj': 2, q_proj: 4 } }))[0]!.r).toBe(2)
  })
})

describe('options', () => {
  it.each([
    [{ loraDropout: 1 }, 'LoRA option "loraDropout" must be a probability in [0, 1), got 1'],
    [{ loraAlpha: NaN }, '"loraAlpha" must be a number'],
    [{ targetModules: [''] }, '"targetModules" must be a list of names'],
    [{ bias: 'some' }, '"bias" must be "none", "all" or "lora_only", got "some"'],
    [
      { targetModules: 'all-linear', layersToTransform: 1 },
      '"layersToTransform" cannot be combined with "targetModules" as one string ("all-linear")',
    ],
    [{ targetModules: ['q'], layersPattern: 'layers' }, '"layersPattern" needs "layersToTransform" as well'],
    [{ rank: 4 }, 'unknown LoRA option "rank"; known: r, loraAlpha'],
    [{ loraBias: true, useDora: true }, '"loraBias" cannot be combined with "useDora"'],
    [{ other: { use_qalora: true } }, 'other: "use_qalora": true is not supported, and ignoring it'],
    [{ layerReplication: [[0]] }, '"layerReplication" must be a list of ranges [first, end) or null, got [[0]]'],
    [{ layerReplication: [[0, 1]], bias: 'all' }, '"layerReplication" cannot be combined with "bias": "all"'],
    [{ trainableTokenIndices: [-1] }, '"trainableTokenIndices" must be a list of row numbers'],
  ])('%j', (fields, message) => {
    expect(() => config(fields as Partial<LoraConfig>)).toThrow(message)
  })
  it('fills in the defaults of PEFT and of the architecture', () => {
    expect(completeLoraConfig({ loraAlpha: undefined } as unknown as Partial<LoraConfig>, ['c_attn'])).toMatchObject({
      r: 8,
      loraAlpha: 8,
      targetModules: ['c_attn'],
    })
    expect(() => completeLoraConfig({}, [])).toThrow('no default target modules')
  })
  it.each([
    ['(?x)q_proj', 'flag (?x) is not supported'],
    ['(?>q)_proj', '"(?>q" is not supported'],
    ['q++', 'possessive quantifier "++"'],
    ['(?<a>q)', '"(?<a>q" is not supported'],
    ['(q)(?(1)a|b)', '"(?(1" is not supported'],
    ['q(?i)_proj', '"(?i" is not supported'],
    ['(?i:q)_proj', '"(?i:q" is not supported'],
    ['\\Gq', 'the escape "\\G" is not supported'],
    ['(q)\\2', '"\\2" refers to a group that does not exist'],
    ['(q', 'regular expression "(q"'],
    ['[q', 'is not closed'],
    ['q\\', 'ends in a backslash'],
  ])('refuses the regular expression %s', (targetModules, message) => {
    expect(refusal({ targetModules })).toContain(message)
  })
})

describe('targets as the file says them', () => {
  it('expands all-linear, and shortens 20 names or more', () => {
    expect(targetModulesForFile(llama(1), config({ targetModules: 'all-linear' }))).toEqual(
      [
        'mlp.down_proj',
        'mlp.gate_proj',
        'mlp.up_proj',
        'self_attn.k_proj',
        'self_attn.o_proj',
        'self_attn.q_proj',
        'self_attn.v_proj',
      ].map((n) => `model.layers.0.${n}`),
    )
    expect(targetModulesForFile(llama(3), config({ targetModules: 'all-linear' }))).toEqual([
      'down_proj',
      'gate_proj',
      'k_proj',
      'o_proj',
      'q_proj',
      'up_proj',
      'v_proj',
    ])
    expect(targetModulesForFile(llama(3), config({ targetModules: ['v_proj', 'q_proj', 'v_proj'] }))).toEqual([
      'q_proj',
      'v_proj',
    ])
    expect(targetModulesForFile(llama(3), config({ targetModules: '.*q_proj' }))).toBe('.*q_proj')
  })
})
