/**
 * @file Adapters with a history: names of other versions of transformers, what trainers leave in keys, parts that are not run.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { encodeSafetensors, loadTensor, readSafetensorsHeader } from '../../src/formats/safetensors.js'
import type { HostTensor } from '../../src/graph/types.js'
import {
  addLora,
  exportOnnx,
  forward,
  inspect,
  loadAdapter,
  loadModel,
  merge,
  type Adapter,
  type Model,
} from '../../src/index.js'
import type { Json } from '../../src/models/config-reader.js'
import { nodeFiles } from '../../src/io/node-files.js'
import { llamaConfig, temporaryFolder, testEnvironment, tinyModel } from '../support/training.js'

const folder = temporaryFolder()
const fixtures = join(import.meta.dirname, '../fixtures/adapters')
const files = nodeFiles()
let counter = 0
const place = (): string => {
  const path = join(folder, `adapter-${counter++}`)
  mkdirSync(path)
  return path
}
const json = (path: string): Record<string, unknown> => JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>

interface Expected {
  readonly ids?: readonly (readonly number[])[]
  readonly x?: readonly number[]
  readonly shape?: readonly number[]
  readonly y: readonly number[]
}

/** Largest difference of a case's logits from those of PEFT. */
async function difference(adapter: Adapter | Model, expected: Expected): Promise<number> {
  const { ids, x, shape, y } = expected
  const side = Math.sqrt((x?.length ?? 0) / 3)
  const inputs: Record<string, HostTensor> = ids
    ? {
        input_ids: {
          dtype: 'int64',
          shape: [ids.length, ids[0]!.length],
          data: BigInt64Array.from(ids.flat(), (id) => BigInt(id)),
        },
      }
    : { pixel_values: { dtype: 'float32', shape: shape ?? [1, 3, side, side], data: Float32Array.from(x!) } }
  const [output] = Object.values(await forward(adapter, inputs))
  return Math.max(...y.map((value, i) => Math.abs(value - Number(output!.data[i]))))
}

async function tensorsOf(path: string): Promise<Map<string, HostTensor>> {
  const { tensors } = await readSafetensorsHeader(files, path)
  const loaded = new Map<string, HostTensor>()
  for (const [name, tensor] of tensors) loaded.set(name, await loadTensor(files, tensor))
  return loaded
}

/** Fills an adapter with numbers, so that it changes something. */
function filled(adapter: Adapter): Adapter {
  adapter.parameters.data.forEach((_, i) => (adapter.parameters.data[i] = Math.sin(i) / 4))
  return adapter
}

/** Saves an adapter with other names: of the tensors, and in its configuration. */
async function renamed(
  adapter: Adapter,
  rename: (name: string) => string,
  config: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const path = place()
  await adapter.save(path)
  const file = join(path, 'adapter_model.safetensors')
  const tensors = new Map([...(await tensorsOf(file))].map(([key, tensor]) => [rename(key), tensor]))
  writeFileSync(file, encodeSafetensors(tensors))
  writeFileSync(join(path, 'adapter_config.json'), JSON.stringify({ ...json(join(path, 'adapter_config.json')), ...config }))
  return path
}

const encoder = { hidden_size: 8, intermediate_size: 12, num_hidden_layers: 3, num_attention_heads: 2, initializer_range: 0.3 }
const vitConfig: Record<string, Json> = {
  ...encoder,
  ...{ model_type: 'vit', architectures: ['ViTForImageClassification'], image_size: 4, patch_size: 2, num_labels: 3 },
}
const oldVit = (key: string): string =>
  key
    .replace('.layers.', '.encoder.layer.')
    .replace('.attention.q_proj.', '.attention.attention.query.')
    .replace('.attention.k_proj.', '.attention.attention.key.')
    .replace('.attention.v_proj.', '.attention.attention.value.')
    .replace('.attention.o_proj.', '.attention.output.dense.')
    .replace('.mlp.fc1.', '.intermediate.dense.')
    .replace('.mlp.fc2.', '.output.dense.')

describe('names of other versions of transformers', () => {
  it('an export says which modules it lacks, as a merge does', async () => {
    const model = await loadModel(join(fixtures, 'gemma3-vision-lora/model'))
    const adapter = await loadAdapter(model, join(fixtures, 'gemma3-vision-lora/adapter'))
    const { notMerged } = await exportOnnx(adapter, join(folder, 'exported-without-vision'))
    expect(notMerged).toEqual(adapter.carried!.modules)
    expect(notMerged!.length).toBeGreaterThan(0)
  })

  it.each(['vit-old-names', 'gemma3-vision-lora', 'resized-vocabulary'])('%s: logits of PEFT', async (name) => {
    const model = await loadModel(join(fixtures, name, 'model'))
    const adapter = await loadAdapter(model, join(fixtures, name, 'adapter'))
    const expected = json(join(fixtures, name, 'expected.json')) as unknown as Expected
    expect(await difference(adapter, expected)).toBeLessThan(1e-4)
    // What is written in today's names reads the same.
    const again = place()
    await adapter.save(again)
    expect(await difference(await loadAdapter(model, again), expected)).toBeLessThan(1e-4)
  })

  const vit = tinyModel(vitConfig, testEnvironment())
  /** Configurations in old names, and the same in today's. */
  const cases: readonly (readonly [string, object, Readonly<Record<string, unknown>>])[] = [
    ['endings', { targetModules: ['q_proj', 'v_proj'] }, { target_modules: ['query', 'value'] }],
    ['"dense", which is three layers', { targetModules: ['o_proj', 'fc1', 'fc2'] }, { target_modules: ['dense'] }],
    [
      'a regular expression',
      { targetModules: ['layers.1.attention.q_proj', 'layers.1.attention.v_proj'] },
      { target_modules: '.*encoder\\.layer\\.1\\.attention\\.attention\\.(query|value)' },
    ],
    [
      'layers of a list',
      { targetModules: ['q_proj'], layersToTransform: [0, 2], layersPattern: 'layers' },
      { target_modules: ['query'], layers_to_transform: [0, 2], layers_pattern: 'layer' },
    ],
    [
      'excluded ones',
      { targetModules: ['q_proj', 'o_proj'], excludeModules: null },
      { target_modules: ['query', 'dense'], exclude_modules: ['intermediate.dense', 'layer.0.output.dense', 'layer.1.output.dense', 'layer.2.output.dense'] }, // prettier-ignore
    ],
    [
      'ranks and alphas by pattern',
      { targetModules: ['q_proj', 'v_proj'], rankPattern: { '.*1.*q_proj': 3 }, alphaPattern: { v_proj: 5 } },
      { target_modules: ['query', 'value'], rank_pattern: { '.*layer.1.*query': 3 }, alpha_pattern: { value: 5 } },
    ],
    ['full names', { targetModules: ['vit.layers.2.mlp.fc1'] }, { target_modules: ['vit.encoder.layer.2.intermediate.dense'] }],
  ]
  it.each(cases)('ViT of transformers 4: %s', async (_, options, config) => {
    const adapter = filled(await addLora(vit, { r: 2, alpha: 3, ...options }))
    const path = await renamed(adapter, oldVit, {
      ...{ exclude_modules: null, layers_to_transform: null, layers_pattern: null, rank_pattern: {}, alpha_pattern: {} },
      ...config,
    })
    const loaded = await loadAdapter(vit, path)
    expect(loaded.targets.map(({ module, r, alpha }) => [module.name, r, alpha])).toEqual(
      adapter.targets.map(({ module, r, alpha }) => [module.name, r, alpha]),
    )
    expect([...loaded.tensors]).toEqual([...adapter.tensors])
    const again = place()
    await loaded.save(again)
    expect([...(await loadAdapter(vit, again)).tensors]).toEqual([...adapter.tensors])
  })

  it('a layer that is missing is missed in old names too', async () => {
    const path = await renamed(filled(await addLora(vit, { r: 2, targetModules: ['layers.0.attention.q_proj'] })), oldVit, {
      target_modules: ['query'],
    })
    await expect(loadAdapter(vit, path)).rejects.toThrow(
      /missing tensors \(4\):\n.*vit\.layers\.1\.attention\.q_proj\.lora_A\.weight/,
    )
  })

  it("the bare model's names, with the prefix left out", async () => {
    const adapter = filled(await addLora(vit, { r: 2, taskType: null }))
    const path = await renamed(adapter, (key) => oldVit(key).replace('.model.vit.', '.model.'), {
      target_modules: ['query', 'value'],
    })
    expect([...(await loadAdapter(vit, path)).tensors]).toEqual([...adapter.tensors])
  })

  it("GPT-NeoX's head was embed_out", async () => {
    const neox = tinyModel({ ...encoder, model_type: 'gpt_neox', vocab_size: 17, max_position_embeddings: 24 }, testEnvironment())
    const old = (key: string): string => key.replace('.lm_head.', '.embed_out.')
    const adapted = filled(await addLora(neox, { r: 2, targetModules: ['query_key_value', 'lm_head'] }))
    const path = await renamed(adapted, old, { target_modules: ['query_key_value', 'embed_out'] })
    expect([...(await loadAdapter(neox, path)).tensors]).toEqual([...adapted.tensors])
    const saved = filled(await addLora(neox, { r: 2, modulesToSave: ['lm_head'] }))
    const other = await loadAdapter(neox, await renamed(saved, old, { modules_to_save: ['embed_out'] }))
    expect([...other.tensors]).toEqual([...saved.tensors])
    expect(other.config.modulesToSave).toEqual(['lm_head'])
  })

  it('Gemma 3 before 4.52, by the class for text alone, and from the model that sees onto the text alone', async () => {
    const text = { ...llamaConfig, model_type: 'gemma3_text', head_dim: 4, num_hidden_layers: 2, sliding_window: 8, tie_word_embeddings: true } // prettier-ignore
    const sees = tinyModel({ model_type: 'gemma3', architectures: ['Gemma3ForConditionalGeneration'], text_config: text }, testEnvironment()) // prettier-ignore
    const reads = tinyModel(text, testEnvironment())
    const inner = 'base_model.model.model.language_model.'
    const adapter = filled(await addLora(sees, { r: 2 }))
    for (const then of ['base_model.model.language_model.model.', 'base_model.model.model.'])
      expect([...(await loadAdapter(sees, await renamed(adapter, (key) => key.replace(inner, then)))).tensors]).toEqual([...adapter.tensors]) // prettier-ignore
    const plain = filled(await addLora(reads, { r: 2 }))
    for (const then of [inner, 'base_model.model.language_model.model.'])
      expect([...(await loadAdapter(reads, await renamed(plain, (key) => key.replace('base_model.model.model.', then)))).tensors]).toEqual([...plain.tensors]) // prettier-ignore
    // The pattern of a widespread trainer, in the names of then.
    const pattern = '(?:.*?(?:language|text).*?(?:self_attn|attention|mlp|feed_forward|ffn|dense).*?(?:q_proj|v_proj).*?)|(?:\\bmodel\\.layers\\.[\\d]{1,}\\.(?:self_attn|attention|mlp|feed_forward|ffn|dense)\\.(?:(?:q_proj|v_proj)))' // prettier-ignore
    const old = await renamed(adapter, (key) => key.replace(inner, 'base_model.model.language_model.model.'), {
      target_modules: pattern,
    })
    expect([...(await loadAdapter(sees, old)).tensors]).toEqual([...adapter.tensors])
  })
})

describe('weights of the base that an adapter brings', () => {
  it.each([
    ['rounded-untied-bfloat16', /brings lm_head\.weight and model\.embed_tokens\.weight .*rounded to 16 bits/],
    ['grown-tied-copies', /for a vocabulary of 98 tokens, where the base has 96/],
    ['grown-untied-saved', /for a vocabulary of 98 tokens, where the base has 96/],
    ['grown-tied-tokens', /for a vocabulary of 98 tokens, where the base has 96/],
  ])('%s: logits of PEFT, also once saved and once merged', async (name, notice) => {
    const model = await loadModel(join(fixtures, name, 'model'))
    const expected = json(join(fixtures, name, 'expected.json')) as unknown as Expected
    const warnings: string[] = []
    const adapter = await loadAdapter(model, join(fixtures, name, 'adapter'), { onWarning: (text) => warnings.push(text) })
    expect(warnings).toEqual([expect.stringMatching(notice)])
    expect(await difference(adapter, expected)).toBeLessThan(1e-4)
    const again = place()
    await adapter.save(again)
    expect(await difference(await loadAdapter(model, again), expected)).toBeLessThan(1e-4)
    const out = join(folder, `merged-${name}`)
    await merge(adapter).save(out)
    const merged = await loadModel(out)
    expect(merged.vocabularySize).toBe(name.startsWith('grown') ? 98 : 96)
    expect(await difference(merged, expected)).toBeLessThan(1e-4)
  })

  it('a whole state dict, as some trainers save it, is read; one number that differs is not', async () => {
    const base = tinyModel(llamaConfig, testEnvironment())
    const adapter = filled(await addLora(base, { r: 2 }))
    const path = await renamed(adapter, (key) => key)
    const write = (changed: string): void => {
      const all = new Map<string, HostTensor>(adapter.tensors)
      for (const [name, weight] of base.weights) {
        const { dtype, shape, data } = weight as HostTensor
        const copy = data.slice() as Float32Array
        if (name === changed) copy[0]! += 1
        const isTarget = /[qv]_proj/.test(name)
        all.set(`base_model.model.${isTarget ? name.replace(/\.weight$/, '.base_layer.weight') : name}`, {
          dtype,
          shape,
          data: copy,
        })
      }
      writeFileSync(join(path, 'adapter_model.safetensors'), encodeSafetensors(all))
    }
    write('')
    expect([...(await loadAdapter(base, path)).tensors]).toEqual([...adapter.tensors])
    write('model.norm.weight')
    await expect(loadAdapter(base, path)).rejects.toThrow(/unexpected tensors \(1\):\n.*model\.norm\.weight/)
    write('model.layers.0.self_attn.q_proj.weight')
    await expect(loadAdapter(base, path)).rejects.toThrow(
      /replaces "model\.layers\.0\.self_attn\.q_proj\.weight" .* by other values/,
    )
  })

  it('names of saved modules that the model has not are let be, as PEFT does; those with tensors are not', async () => {
    const base = tinyModel(llamaConfig, testEnvironment())
    const adapter = filled(await addLora(base, { r: 2, modulesToSave: ['norm'] }))
    const config = { modules_to_save: ['norm', 'wte', 'embed_out'] }
    expect([...(await loadAdapter(base, await renamed(adapter, (key) => key, config))).tensors]).toEqual([...adapter.tensors])
    const strange = await renamed(adapter, (key) => key.replace('model.norm', 'wte'), config)
    await expect(loadAdapter(base, strange)).rejects.toThrow(/unexpected tensors \(1\):\n.*wte\.weight/)
  })

  it('the tokenizer of a larger vocabulary comes along, whatever is written', async () => {
    const path = place()
    cpSync(join(fixtures, 'grown-tied-copies/adapter'), path, { recursive: true })
    const tokenizer = JSON.stringify({
      model: { type: 'WordLevel', vocab: { a: 0, '<new>': 97 }, unk_token: 'a' },
      added_tokens: [{ id: 97, content: '<new>', special: true, single_word: false, lstrip: false, rstrip: false, normalized: false }], // prettier-ignore
    })
    writeFileSync(join(path, 'tokenizer.json'), tokenizer)
    const templates = 'additional_chat_templates'
    mkdirSync(join(path, templates))
    for (const name of ['tool_use', 'rag']) writeFileSync(join(path, templates, `${name}.jinja`), name)
    // Whatever the base's own tokenizer consists of would change the one that takes its place.
    const base = place()
    cpSync(join(fixtures, 'grown-tied-copies/model'), base, { recursive: true })
    mkdirSync(join(base, templates))
    for (const name of ['chat_template.jinja', `${templates}/tool_use.jinja`, `${templates}/own.jinja`, 'NOTICE'])
      writeFileSync(join(base, name), 'of the base')
    writeFileSync(join(base, 'tokenizer_config.json'), '{"eos_token": "of the base"}')
    const adapter = await loadAdapter(await loadModel(base), path)
    expect((await adapter.model.tokenizer())!.encode('<new>')).toEqual([97])
    const [saved, merged, exported] = ['saved', 'merged', 'exported'].map((name) => join(folder, `larger-${name}`)) as [string, string, string] // prettier-ignore
    await adapter.save(saved)
    await merge(adapter).save(merged)
    await merge(adapter).save(merged, { overwrite: true })
    await exportOnnx(adapter, exported)
    for (const out of [saved, merged, exported]) {
      expect(readFileSync(join(out, 'tokenizer.json'), 'utf8')).toBe(tokenizer)
      expect(readdirSync(join(out, templates))).toEqual(['rag.jinja', 'tool_use.jinja'])
      expect(readFileSync(join(out, templates, 'tool_use.jinja'), 'utf8')).toBe('tool_use')
      expect(existsSync(join(out, 'chat_template.jinja'))).toBe(false)
      expect(existsSync(join(out, 'NOTICE'))).toBe(out !== saved)
    }
    expect(existsSync(join(merged, 'tokenizer_config.json'))).toBe(false)
    expect(json(join(exported, 'tokenizer_config.json'))).toEqual({ tokenizer_class: 'PreTrainedTokenizerFast' })
    symlinkSync(join(folder, 'larger-saved/tokenizer.json'), join(path, 'added_tokens.json'))
    await expect(adapter.save(place())).rejects.toThrow(/added_tokens\.json" is a link to .* outside the adapter's folder/)
  })

  it('the same weights make the same model', async () => {
    const model = await loadModel(join(fixtures, 'grown-tied-copies/model'))
    const load = (): Promise<Adapter> => loadAdapter(model, join(fixtures, 'grown-tied-copies/adapter'))
    expect((await load()).model).toBe((await load()).model)
  })

  it('a vocabulary that was made smaller is refused with what to do', async () => {
    const small = tinyModel({ ...llamaConfig, vocab_size: 15 }, testEnvironment())
    const path = await renamed(filled(await addLora(small, { r: 2, targetModules: ['q_proj', 'lm_head'] })), (key) => key)
    await expect(loadAdapter(tinyModel(llamaConfig, testEnvironment()), path)).rejects.toThrow(
      /its vocabulary was made smaller where it was trained\. Resize the base's as well/,
    )
  })

  it('a table without its head is refused with what to do', async () => {
    const path = place()
    cpSync(join(fixtures, 'grown-untied-saved/adapter'), path, { recursive: true })
    const file = join(path, 'adapter_model.safetensors')
    const tensors = await tensorsOf(file)
    for (const key of [...tensors.keys()]) if (key.includes('lm_head')) tensors.delete(key)
    writeFileSync(file, encodeSafetensors(tensors))
    await expect(loadAdapter(await loadModel(join(fixtures, 'grown-untied-saved/model')), path)).rejects.toThrow(
      /its vocabulary has 98 tokens, the base's 96, and the adapter does not bring "lm_head\.weight" of that size/,
    )
  })
})

describe('parts that are not run', () => {
  const at = join(fixtures, 'gemma3-vision-lora')
  const seen = 'base_model.model.model.vision_tower.encoder.layers.0.self_attn.q_proj.lora_B.weight'

  /** The case's adapter with something in the vision tower. */
  async function withVision(): Promise<string> {
    const path = place()
    cpSync(join(at, 'adapter'), path, { recursive: true })
    const file = join(path, 'adapter_model.safetensors')
    const tensors = await tensorsOf(file)
    ;(tensors.get(seen)!.data as Float32Array).fill(0.5)
    writeFileSync(file, encodeSafetensors(tensors))
    return path
  }

  it('are told, kept and stored again', async () => {
    const model = await loadModel(join(at, 'model'))
    const warnings: string[] = []
    const path = await withVision()
    const adapter = await loadAdapter(model, path, { onWarning: (message) => warnings.push(message) })
    expect(warnings).toEqual([expect.stringMatching(/model\.vision_tower\..* and 1 more modules of the checkpoint, which are not run here/)]) // prettier-ignore
    const again = place()
    await adapter.save(again)
    expect(await tensorsOf(join(again, 'adapter_model.safetensors'))).toEqual(await tensorsOf(join(path, 'adapter_model.safetensors'))) // prettier-ignore
  })

  it('are merged into the checkpoint, under its own names: W + s·B·A', async () => {
    const model = await loadModel(join(at, 'model'))
    const path = await withVision()
    const out = join(folder, 'merged')
    const result = await merge(await loadAdapter(model, path)).save(out)
    expect(result).toMatchObject({ mergedModules: 8 })
    expect(result.notMerged).toBeUndefined()
    const name = 'vision_tower.encoder.layers.0.self_attn.q_proj.weight'
    const [before, after, lora] = [
      (await tensorsOf(join(at, 'model/model.safetensors'))).get(name)!,
      (await tensorsOf(join(out, 'model.safetensors'))).get(name)!,
      await tensorsOf(join(path, 'adapter_model.safetensors')),
    ]
    const A = lora.get(seen.replace('lora_B', 'lora_A'))!.data
    // r 4, alpha 8: every row of B·A is 0.5 times the sum of the rows of A, twice.
    for (let column = 0; column < 32; column++) {
      const sum = [0, 1, 2, 3].reduce((total, row) => total + Number(A[row * 32 + column]), 0)
      expect(Number(after.data[5 * 32 + column]) - Number(before.data[5 * 32 + column])).toBeCloseTo(2 * 0.5 * sum, 5)
    }
  })

  it('what cannot be merged is said', async () => {
    const bare = join(folder, 'text-only')
    cpSync(join(at, 'model'), bare, { recursive: true })
    const tensors = await tensorsOf(join(at, 'model/model.safetensors'))
    for (const name of [...tensors.keys()]) if (!name.startsWith('language_model')) tensors.delete(name)
    writeFileSync(join(bare, 'model.safetensors'), encodeSafetensors(tensors))
    const result = await merge(await loadAdapter(await loadModel(bare), await withVision())).save(join(folder, 'merged-text'))
    expect(result.notMerged).toEqual(['q_proj', 'v_proj'].map((p) => `model.vision_tower.encoder.layers.0.self_attn.${p}`))
    expect(result.mergedModules).toBe(6)
  })

  it('are inspected', async () => {
    expect(await inspect(await withVision())).toMatchObject({ kind: 'adapter', r: 4 })
  })
})
