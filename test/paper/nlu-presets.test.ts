/** @file The presets of GLUE against the original scripts, flag by flag, and the numbers of trained parameters that the paper's code has. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { completeLoraConfig } from '../../src/adapters/complete-lora-config.js'
import { matchTargets } from '../../src/adapters/targets.js'
import { FolderModel } from '../../src/model/folder-model.js'
import { nluPresets } from '../../src/paper/nlu/presets.js'
import { nluLoraOptions, nluSettings, nluTrainOptions } from '../../src/paper/nlu/settings.js'
import { temporaryFolder, testEnvironment } from '../support/training.js'

const fixture = resolve(import.meta.dirname, '../fixtures/paper/nlu-scripts.json')
const all = JSON.parse(readFileSync(fixture, 'utf8')) as Record<string, Record<string, number | string | boolean>>
/** The scripts of LoRA: those of other adapters have no preset. */
const scripts = Object.entries(all).filter(([, flags]) => 'lora_r' in flags)

/** The preset of a script: `roberta_base_mnli.sh` is `roberta-base-mnli`, `mnli.rdrop.sh` of DeBERTa. */
const presetOf = (script: string): string =>
  script.startsWith('mnli.') ? `deberta-v2-xxlarge-mnli-${script.slice('mnli.'.length)}` : script.replaceAll('_', '-')

it('there is a preset for each script, and no other', () => {
  expect([...nluPresets.keys()].sort()).toEqual(scripts.map(([script]) => presetOf(script)).sort())
})

it.each(scripts)('%s', (script, flags) => {
  const preset = nluPresets.get(presetOf(script))!
  const told = {
    gpus: preset.gpus,
    lora_path: preset.fromMnli,
    task_name: preset.task,
    max_seq_length: preset.maxLength,
    per_device_train_batch_size: preset.batchSize,
    learning_rate: preset.learningRate,
    num_train_epochs: preset.epochs,
    [preset.warmup < 1 ? 'warmup_ratio' : 'warmup_steps']: preset.warmup,
    weight_decay: preset.weightDecay,
    lora_r: preset.r,
    lora_alpha: preset.alpha,
    ...(preset.classifierDropout !== undefined && { cls_dropout: preset.classifierDropout }),
    ...(preset.evalEvery !== undefined && { eval_steps: preset.evalEvery }),
    ...(preset.rDrop !== undefined && { reg_loss_wgt: preset.rDrop }),
    ...(preset.cutoff !== undefined && { masking_prob: preset.cutoff }),
    seed: preset.seed,
  }
  expect(told).toEqual(flags)
})

describe('settings', () => {
  it('are those of the preset, with micro-batches for processes, and what is given in their place', () => {
    const settings = nluSettings('roberta-base-cola', { epochs: 3, batchSize: 4, seed: 5, method: 'bitfit' })
    expect(settings).toMatchObject({
      task: 'cola',
      gradAccum: 2,
      epochs: 3,
      batchSize: 4,
      seed: 5,
      learningRate: 4e-4,
      maxLength: 512,
    })
    expect(nluLoraOptions(settings)).toEqual({ targetModules: 'none', bias: 'all', seed: 5 })
    expect(nluTrainOptions(settings)).toMatchObject({
      ...{ optimizer: 'adamw_hf', noDecay: ['bias'], weightDecay: 0.1, warmup: 0.06, schedule: 'linear' },
      ...{ modelDropout: true, keepBest: true, metricForBest: 'matthews', maxGradNorm: 1 },
    })
    expect(nluTrainOptions(nluSettings('deberta-v2-xxlarge-mnli'))).not.toHaveProperty('noDecay')
  })

  it.each<[string, string, object]>([
    ['unknown preset "bert"; choose one of roberta-base-mnli', 'bert', {}],
    ['r (--r) and alpha (--alpha) are of branches', 'roberta-base-cola', { method: 'bitfit', r: 4 }],
    ['are of classes, and stsb has numbers', 'roberta-base-stsb', { rDrop: 1 }],
    ['epochs must be above 0', 'roberta-base-cola', { epochs: 0 }],
    ['unknown option "epoch"', 'roberta-base-cola', { epoch: 3 }],
  ])('refuse: %s', (message, preset, given) => expect(() => nluSettings(preset, given)).toThrow(message))
})

describe('numbers of trained parameters, heads excluded', () => {
  const folder = temporaryFolder()
  const roberta = { model_type: 'roberta', architectures: ['RobertaForMaskedLM'], vocab_size: 50_265, max_position_embeddings: 514, type_vocab_size: 1 } // prettier-ignore
  const large = { hidden_size: 1024, num_hidden_layers: 24, num_attention_heads: 16, intermediate_size: 4096 }
  const xxlarge = {
    ...{ model_type: 'deberta-v2', architectures: ['DebertaV2ForMaskedLM'], vocab_size: 128_100, max_position_embeddings: 512 },
    ...{ hidden_size: 1536, num_hidden_layers: 48, num_attention_heads: 24, intermediate_size: 6144, attention_head_size: 64 },
    ...{
      relative_attention: true,
      position_buckets: 256,
      norm_rel_ebd: 'layer_norm',
      share_att_key: true,
      pos_att_type: 'p2c|c2p',
    },
    ...{ position_biased_input: false, conv_kernel_size: 3, conv_act: 'gelu', type_vocab_size: 0, pooler_hidden_size: 1536 },
  }
  it.each<[string, object, number]>([
    ['roberta-base-mnli', roberta, 294_912],
    ['roberta-large-mnli', { ...roberta, ...large }, 786_432],
    ['deberta-v2-xxlarge-mnli', xxlarge, 4_718_592],
  ])('%s', async (preset, config, expected) => {
    const path = join(folder, preset)
    mkdirSync(path)
    writeFileSync(join(path, 'config.json'), JSON.stringify(config))
    const task = { task: 'sequence-classification', numLabels: 3 } as const
    const model = await FolderModel.open(path, testEnvironment(), path, task, { outline: true })
    const { r = 0, alpha = 0 } = nluLoraOptions(nluSettings(preset))
    const targets = matchTargets(model.modules, completeLoraConfig({ r, loraAlpha: alpha }, model.defaultTargetModules))
    expect(targets.reduce((sum, { module }) => sum + r * (module.inFeatures + module.outFeatures), 0)).toBe(expected)
  })
})
