/**
 * @file The README of an adapter: the hub's fields, how it was made, never over another's, and names of strangers made
 * harmless.
 */
import { readFileSync } from 'node:fs'
import { parse } from 'yaml'
import { describe, expect, it } from 'vitest'
import { loraDefaults } from '../adapters/lora-fields.js'
import { memoryFiles } from '../io/memory-files.js'
import { VERSION } from '../util/version.js'
import type { TrainEvent } from './events.js'
import { modelCard, writeModelCard, type ModelCard } from './model-card.js'

const step = (number: number, loss: number): TrainEvent => ({
  ...{ event: 'step', step: number, epoch: 0, loss, gradNorm: 1, learningRate: 1e-3, tokens: 8, tokensPerSecond: 9 },
})
const evaluation = (number: number, loss: number): TrainEvent => ({ event: 'eval', step: number, loss, perplexity: 2.5, best: true }) // prettier-ignore

const card: ModelCard = {
  baseModel: 'HuggingFaceTB/SmolLM2-135M',
  baseOnHub: true,
  task: 'causal-lm',
  config: { ...loraDefaults, r: 4, loraAlpha: 8, targetModules: ['q_proj', 'v_proj'], rankPattern: { 'a|b': 2 } },
  dataFiles: ['train.jsonl'],
  dataFingerprint: '100:2000:abcd',
  evalRows: 7,
  hyperparameters: { learningRate: 2e-4, seed: 3, steps: undefined },
  events: [
    { event: 'start', steps: 2, resumedAt: 0, trainableParameters: 1234, totalParameters: 51_234, rows: 1000 },
    step(1, 4.594000339508057),
    evaluation(1, 4),
    step(2, 3.25),
    evaluation(2, 3.5),
  ],
  version: '9.9.9',
  license: 'apache-2.0',
}

const frontMatter = (text: string): Record<string, unknown> => parse(text.split('---\n')[1]!) as Record<string, unknown>

describe('the model card', () => {
  it("has the hub's fields", () => {
    expect(frontMatter(modelCard(card))).toEqual({
      base_model: 'HuggingFaceTB/SmolLM2-135M',
      base_model_relation: 'adapter',
      library_name: 'peft',
      pipeline_tag: 'text-generation',
      license: 'apache-2.0',
      tags: ['lora', 'peft', 'lowrank', 'base_model:adapter:HuggingFaceTB/SmolLM2-135M'],
      'model-index': [
        {
          name: 'SmolLM2-135M-lora',
          results: [
            {
              task: { type: 'text-generation' },
              dataset: { name: 'train.jsonl', type: 'unknown' },
              metrics: [
                { type: 'loss', name: 'Loss', value: 3.5 },
                { type: 'perplexity', name: 'Perplexity', value: 2.5 },
              ],
            },
          ],
        },
      ],
    })
    const { license: _, ...unlicensed } = card
    const odd = frontMatter(modelCard({ ...unlicensed, task: 'custom' }))
    expect(Object.keys(odd)).toEqual(['base_model', 'base_model_relation', 'library_name', 'tags'])
    expect(frontMatter(modelCard({ ...card, baseModel: 'no' }))['base_model']).toBe('no')
  })

  it('names no base that only this machine has, which the hub refuses, and says what to write instead', () => {
    const text = modelCard({ ...card, baseModel: './a: "b" #c', baseOnHub: false })
    const fields = frontMatter(text)
    expect(Object.keys(fields)).toEqual(['library_name', 'pipeline_tag', 'license', 'tags', 'model-index'])
    expect(fields['tags']).toEqual(['lora', 'peft', 'lowrank'])
    expect(text).toContain('as `base_model: owner/name` into the front matter')
    expect(modelCard(card)).not.toContain('owner/name')
  })

  it('gives the hub the evaluation of what lies beside it, and numbers that every YAML reads as such', () => {
    const ofIndex = (more: Partial<ModelCard>): unknown[] => {
      const fields = frontMatter(modelCard({ ...card, ...more })) as { 'model-index'?: { results: unknown[] }[] }
      return fields['model-index']?.[0]?.results ?? []
    }
    const events = [evaluation(1, 1e-7), evaluation(2, 3.5)]
    const best = { events, bestStep: 1, evalFiles: ['valid: "a".jsonl', 'b.jsonl'] }
    expect(ofIndex(best)).toMatchObject([{ dataset: { name: 'valid: "a".jsonl, b.jsonl' }, metrics: [{ value: 1e-7 }, {}] }])
    expect(modelCard({ ...card, ...best })).toContain('value: 1.0e-7\n')
    expect(modelCard({ ...card, ...best })).toContain('| Adapter of step | 1, the best evaluation |')
    expect(ofIndex({ ...best, evalFiles: [] })).toMatchObject([{ dataset: { name: 'rows in memory' } }])
    expect(ofIndex({ events: [] })).toEqual([])
    const nothing: TrainEvent = { event: 'eval', step: 1, loss: Number.NaN, best: false }
    expect(ofIndex({ events: [nothing] })).toEqual([])
    const tokens: TrainEvent = { event: 'eval', step: 1, loss: 0.5, examples: 9, precision: 0.25, macroF1: 0.75, best: true }
    expect(ofIndex({ events: [tokens], task: 'token-classification' })).toMatchObject([
      { task: { type: 'token-classification' }, metrics: [{ value: 0.5 }, { type: 'f1', name: 'F1, macro', value: 0.75 }, { type: 'precision' }] }, // prettier-ignore
    ])
  })

  it('shows the command, whatever is in it', () => {
    const command = "lowrank train --data 'a\n```\nb'"
    expect(modelCard({ ...card, command })).toContain(`\n\`\`\`\`sh\n${command}\n\`\`\`\`\n`)
    expect(modelCard(card)).not.toContain('command')
  })

  it('says how it was made and what came out', () => {
    const text = modelCard(card)
    expect(text).toContain('AutoModelForCausalLM.from_pretrained("HuggingFaceTB/SmolLM2-135M"), "path')
    const classifier: ModelCard = { ...card, task: 'token-classification', head: { numLabels: 5, mismatches: false } }
    expect(modelCard(classifier)).toContain('AutoModelForTokenClassification.from_pretrained("HuggingFaceTB/SmolLM2-135M", num_labels=5), "path') // prettier-ignore
    expect(modelCard({ ...classifier, head: { numLabels: 5, mismatches: true } })).toContain('num_labels=5, ignore_mismatched_sizes=True), "path') // prettier-ignore
    for (const line of [
      '| r | `4` |',
      '| lora_alpha | `8` |',
      '| target_modules | `["q_proj","v_proj"]` |',
      '| rank_pattern | `{"a\\|b":2}` |',
      '| learningRate | `0.0002` |',
      '| Steps | 2 |',
      '| Training loss, step 1 | 4.594 |',
      '| Training loss, step 2 | 3.25 |',
      '| Evaluation loss, step 1 | 4 |',
      '| Evaluation loss, step 2 | 3.5 |',
      '| Evaluation perplexity | 2.5 |',
      '| Files | `train.jsonl` |',
      '| Rows | 1,000 |',
      '| Rows for evaluation | 7 |',
      '| Fingerprint | `100:2000:abcd` |',
    ])
      expect(text).toContain(`${line}\n`)
    expect(text).toContain('1,234 trained parameters beside 50,000 of the base model')
    expect(text).toContain('lowrank 9.9.9')
    expect(text).toContain('AutoModelForCausalLM.from_pretrained("HuggingFaceTB/SmolLM2-135M")')
    expect(text).not.toMatch(/undefined|NaN|steps \|/)
    expect(modelCard(card)).toBe(text)
  })

  it('replaces its own, and no other', async () => {
    const files = memoryFiles()
    expect(await writeModelCard(files, 'out', card)).toBe(true)
    expect(await writeModelCard(files, 'out', { ...card, version: '10' })).toBe(true)
    expect(await files.readText('out/README.md')).toContain('lowrank 10;')
    await files.write('other/README.md', '# By hand')
    expect(await writeModelCard(files, 'other', card)).toBe(false)
    expect(await files.readText('other/README.md')).toBe('# By hand')
  })

  it('names the version of the package', () => {
    const json = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
    expect(VERSION).toBe(json.version)
  })
})

describe('names of strangers in a card', () => {
  it('stand without control characters, and cannot leave their code', () => {
    const evil = '``` \u001b[2J\r\u202e`x'
    const text = modelCard({ ...card, baseModel: `a/${evil}`, dataFiles: [evil] })
    expect(text).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e]/)
    expect(text).toContain('# LoRA adapter for ```` a/``` \\u001b[2J ')
    expect((frontMatter(text)['base_model'] as string).startsWith('a/``` \u001b[2J')).toBe(true)
  })
})
