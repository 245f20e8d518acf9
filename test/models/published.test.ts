/** @file Names and sizes of published encoders, as their authors' files have them; no file is needed. */
import { describe, expect, it } from 'vitest'
import { elementCount, type Initializer } from '../../src/graph/types.js'
import type { Json } from '../../src/models/config-reader.js'
import type { ModelGraph } from '../../src/models/architecture.js'
import { buildModel, findArchitecture, graphNames, weightShapes } from '../../src/models/registry.js'
import { taskNamed, type TaskName } from '../../src/models/task.js'
import { configOf } from './cases.js'

type Shapes = Record<string, readonly number[]>

interface Published {
  readonly config: Record<string, Json>
  /** Parameters of the model that the config asks for, as its authors and transformers count them. */
  readonly parameters: number
  readonly tensors: Shapes
  readonly inputs: readonly string[]
  readonly maxPositions: number
}

const linear = (name: string, from: number, to: number): Shapes => ({ [`${name}.weight`]: [to, from], [`${name}.bias`]: [to] })
/** What scale and shift of a norm are called. */
type NormParts = readonly [string, string]

const norm = (name: string, size: number, [scale, shift]: NormParts = ['weight', 'bias']): Shapes => ({
  [`${name}.${scale}`]: [size],
  [`${name}.${shift}`]: [size],
})
const repeat = (count: number, layer: (i: number) => Shapes): Shapes =>
  Object.assign({}, ...Array.from({ length: count }, (_, i) => layer(i))) as Shapes

const tensorFlow: NormParts = ['gamma', 'beta']

/** BERT's layers: [hidden, intermediate] and the names of the parts of a norm and of the projections. */
const bertLayers = (
  prefix: string,
  layers: number,
  [d, m]: [number, number],
  parts?: NormParts,
  projections = ['query', 'key', 'value'],
): Shapes =>
  repeat(layers, (i) => {
    const name = `${prefix}encoder.layer.${i}`
    return {
      ...Object.assign({}, ...projections.map((p) => linear(`${name}.attention.self.${p}`, d, d))),
      ...linear(`${name}.attention.output.dense`, d, d),
      ...norm(`${name}.attention.output.LayerNorm`, d, parts),
      ...linear(`${name}.intermediate.dense`, d, m),
      ...linear(`${name}.output.dense`, m, d),
      ...norm(`${name}.output.LayerNorm`, d, parts),
    } as Shapes
  })

const deberta = (layers: number, size: [number, number]): Shapes => ({
  'deberta.embeddings.word_embeddings.weight': [128_100, size[0]],
  ...norm('deberta.embeddings.LayerNorm', size[0]),
  ...bertLayers('deberta.', layers, size, undefined, ['query_proj', 'key_proj', 'value_proj']),
  'deberta.encoder.rel_embeddings.weight': [512, size[0]],
  ...norm('deberta.encoder.LayerNorm', size[0]),
})

const debertaConfig: Record<string, Json> = {
  model_type: 'deberta-v2',
  attention_probs_dropout_prob: 0.1,
  hidden_act: 'gelu',
  hidden_dropout_prob: 0.1,
  hidden_size: 768,
  initializer_range: 0.02,
  intermediate_size: 3072,
  max_position_embeddings: 512,
  relative_attention: true,
  position_buckets: 256,
  norm_rel_ebd: 'layer_norm',
  share_att_key: true,
  pos_att_type: 'p2c|c2p',
  layer_norm_eps: 1e-7,
  max_relative_positions: -1,
  position_biased_input: false,
  num_attention_heads: 12,
  num_hidden_layers: 12,
  type_vocab_size: 0,
  vocab_size: 128_100,
}

const vitTensors = (prefix: string): Shapes => ({
  [`${prefix}embeddings.cls_token`]: [1, 1, 768],
  [`${prefix}embeddings.position_embeddings`]: [1, 197, 768],
  [`${prefix}embeddings.patch_embeddings.projection.weight`]: [768, 3, 16, 16],
  [`${prefix}embeddings.patch_embeddings.projection.bias`]: [768],
  ...repeat(12, (i) => {
    const name = `${prefix}encoder.layer.${i}`
    return {
      ...linear(`${name}.attention.attention.query`, 768, 768),
      ...linear(`${name}.attention.attention.key`, 768, 768),
      ...linear(`${name}.attention.attention.value`, 768, 768),
      ...linear(`${name}.attention.output.dense`, 768, 768),
      ...linear(`${name}.intermediate.dense`, 768, 3072),
      ...linear(`${name}.output.dense`, 3072, 768),
      ...norm(`${name}.layernorm_before`, 768),
      ...norm(`${name}.layernorm_after`, 768),
    }
  }),
  ...norm(`${prefix}layernorm`, 768),
})

const classes = (count: number): Json => Object.fromEntries(Array.from({ length: count }, (_, i) => [String(i), `class ${i}`]))

const published: Record<string, Published> = {
  'bert-base-uncased': {
    config: {
      architectures: ['BertForMaskedLM'],
      attention_probs_dropout_prob: 0.1,
      gradient_checkpointing: false,
      hidden_act: 'gelu',
      hidden_size: 768,
      intermediate_size: 3072,
      layer_norm_eps: 1e-12,
      max_position_embeddings: 512,
      model_type: 'bert',
      num_attention_heads: 12,
      num_hidden_layers: 12,
      pad_token_id: 0,
      position_embedding_type: 'absolute',
      type_vocab_size: 2,
      vocab_size: 30_522,
    },
    parameters: 109_482_240,
    maxPositions: 512,
    inputs: ['input_ids', 'attention_mask', 'token_type_ids'],
    tensors: {
      'bert.embeddings.position_ids': [1, 512],
      'bert.embeddings.word_embeddings.weight': [30_522, 768],
      'bert.embeddings.position_embeddings.weight': [512, 768],
      'bert.embeddings.token_type_embeddings.weight': [2, 768],
      ...norm('bert.embeddings.LayerNorm', 768, tensorFlow),
      ...bertLayers('bert.', 12, [768, 3072], tensorFlow),
      ...linear('bert.pooler.dense', 768, 768),
      'cls.predictions.bias': [30_522],
      ...linear('cls.predictions.transform.dense', 768, 768),
      ...norm('cls.predictions.transform.LayerNorm', 768, tensorFlow),
      'cls.predictions.decoder.weight': [30_522, 768],
      ...linear('cls.seq_relationship', 768, 2),
    },
  },
  'roberta-base': {
    config: {
      architectures: ['RobertaForMaskedLM'],
      model_type: 'roberta',
      bos_token_id: 0,
      eos_token_id: 2,
      hidden_act: 'gelu',
      hidden_size: 768,
      intermediate_size: 3072,
      layer_norm_eps: 1e-5,
      max_position_embeddings: 514,
      num_attention_heads: 12,
      num_hidden_layers: 12,
      pad_token_id: 1,
      type_vocab_size: 1,
      vocab_size: 50_265,
    },
    parameters: 124_645_632,
    maxPositions: 512,
    inputs: ['input_ids', 'attention_mask'],
    tensors: {
      'roberta.embeddings.position_ids': [1, 514],
      'roberta.embeddings.word_embeddings.weight': [50_265, 768],
      'roberta.embeddings.position_embeddings.weight': [514, 768],
      'roberta.embeddings.token_type_embeddings.weight': [1, 768],
      ...norm('roberta.embeddings.LayerNorm', 768),
      ...bertLayers('roberta.', 12, [768, 3072]),
      ...linear('roberta.pooler.dense', 768, 768),
      'lm_head.bias': [50_265],
      'lm_head.decoder.weight': [50_265, 768],
      ...linear('lm_head.dense', 768, 768),
      ...norm('lm_head.layer_norm', 768),
    },
  },
  'distilbert-base-uncased': {
    config: {
      activation: 'gelu',
      architectures: ['DistilBertForMaskedLM'],
      attention_dropout: 0.1,
      dim: 768,
      dropout: 0.1,
      hidden_dim: 3072,
      max_position_embeddings: 512,
      model_type: 'distilbert',
      n_heads: 12,
      n_layers: 6,
      pad_token_id: 0,
      sinusoidal_pos_embds: false,
      tie_weights_: true,
      vocab_size: 30_522,
    },
    parameters: 66_362_880,
    maxPositions: 512,
    inputs: ['input_ids', 'attention_mask'],
    tensors: {
      'distilbert.embeddings.word_embeddings.weight': [30_522, 768],
      'distilbert.embeddings.position_embeddings.weight': [512, 768],
      ...norm('distilbert.embeddings.LayerNorm', 768),
      ...repeat(6, (i) => {
        const name = `distilbert.transformer.layer.${i}`
        return {
          ...linear(`${name}.attention.q_lin`, 768, 768),
          ...linear(`${name}.attention.k_lin`, 768, 768),
          ...linear(`${name}.attention.v_lin`, 768, 768),
          ...linear(`${name}.attention.out_lin`, 768, 768),
          ...norm(`${name}.sa_layer_norm`, 768),
          ...linear(`${name}.ffn.lin1`, 768, 3072),
          ...linear(`${name}.ffn.lin2`, 3072, 768),
          ...norm(`${name}.output_layer_norm`, 768),
        }
      }),
      ...linear('vocab_transform', 768, 768),
      ...norm('vocab_layer_norm', 768),
      ...linear('vocab_projector', 768, 30_522),
    },
  },
  'microsoft/deberta-v3-base': {
    config: debertaConfig,
    parameters: 183_831_552,
    maxPositions: 512,
    inputs: ['input_ids', 'attention_mask'],
    tensors: {
      ...deberta(12, [768, 3072]),
      'deberta.embeddings.position_embeddings.weight': [512, 768],
      'lm_predictions.lm_head.bias': [128_100],
      ...linear('lm_predictions.lm_head.dense', 768, 768),
      ...norm('lm_predictions.lm_head.LayerNorm', 768),
      ...linear('mask_predictions.dense', 768, 768),
      ...norm('mask_predictions.LayerNorm', 768),
      ...linear('mask_predictions.classifier', 768, 1),
    },
  },
  'microsoft/deberta-v2-xxlarge': {
    config: {
      ...debertaConfig,
      hidden_size: 1536,
      intermediate_size: 6144,
      num_attention_heads: 24,
      num_hidden_layers: 48,
      attention_head_size: 64,
      conv_kernel_size: 3,
      conv_act: 'gelu',
      pooler_hidden_size: 1536,
    },
    parameters: 1_564_549_632,
    maxPositions: 512,
    inputs: ['input_ids', 'attention_mask'],
    tensors: {
      ...deberta(48, [1536, 6144]),
      'deberta.encoder.conv.conv.weight': [1536, 1536, 3],
      'deberta.encoder.conv.conv.bias': [1536],
      ...norm('deberta.encoder.conv.LayerNorm', 1536),
      'cls.predictions.bias': [128_100],
      ...linear('cls.predictions.transform.dense', 1536, 1536),
      ...norm('cls.predictions.transform.LayerNorm', 1536),
    },
  },
  'google/vit-base-patch16-224': {
    config: {
      architectures: ['ViTForImageClassification'],
      hidden_act: 'gelu',
      hidden_size: 768,
      id2label: classes(1000),
      image_size: 224,
      intermediate_size: 3072,
      layer_norm_eps: 1e-12,
      model_type: 'vit',
      num_attention_heads: 12,
      num_channels: 3,
      num_hidden_layers: 12,
      patch_size: 16,
      qkv_bias: true,
    },
    parameters: 86_567_656,
    maxPositions: 0,
    inputs: ['pixel_values'],
    tensors: { ...vitTensors('vit.'), ...linear('classifier', 768, 1000) },
  },
  'google/vit-base-patch16-224-in21k': {
    config: { architectures: ['ViTModel'], model_type: 'vit', image_size: 224, patch_size: 16 },
    parameters: 86_389_248,
    maxPositions: 0,
    inputs: ['pixel_values'],
    tensors: { ...vitTensors(''), ...linear('pooler.dense', 768, 768) },
  },
}

/** Tensors as a file would give them: nothing is read to build a graph. */
const onDisk = (shapes: Shapes): Map<string, Initializer> =>
  new Map(
    Object.entries(shapes).map(([name, shape]) => [
      name,
      { dtype: 'float32', shape, file: { path: '/nowhere/model.safetensors', offset: 0, length: 4 * elementCount(shape) } },
    ]),
  )

const build = ({ config, tensors }: Pick<Published, 'config' | 'tensors'>, task?: TaskName): ModelGraph => {
  const reader = configOf(config)
  return buildModel(reader, onDisk(tensors), { mode: 'full' }, 'published', task && taskNamed(reader, task))
}

describe.each(Object.entries(published))('%s', (_, model) => {
  it('is built from the names of its file, whatever heads of pretraining it carries', () => {
    const { graph, maxPositions } = build(model)
    expect(graph.inputs.map(({ name }) => name)).toEqual(model.inputs)
    expect(maxPositions).toBe(model.maxPositions)
    const parameters = [...weightShapes(configOf(model.config)).values()].reduce((sum, shape) => sum + elementCount(shape), 0)
    expect(parameters).toBe(model.parameters)
  })
})

describe('a published base model for another task', () => {
  const bert = published['bert-base-uncased']!

  it('names the tensors that a head would need', () => {
    expect(() => build(bert, 'sequence-classification')).toThrow(
      'published: tensor "classifier.weight" [2, 768] is missing; tensor "classifier.bias" [2] is missing',
    )
    expect(() => build(published['microsoft/deberta-v3-base']!, 'question-answering')).toThrow(
      'tensor "qa_outputs.weight" [2, 768] is missing',
    )
  })

  it('takes a head that is there, and the base of a model with another one', () => {
    const tensors = { ...bert.tensors, ...linear('classifier', 768, 9) }
    const config = { ...bert.config, id2label: classes(9) }
    expect(build({ config, tensors }, 'token-classification').output.shape).toEqual(['batch', 'sequence', 9])
    expect(build({ config, tensors }, 'feature-extraction').output.shape).toEqual(['batch', 'sequence', 768])
  })

  it('names the modules of a bare model without its prefix, as transformers does', () => {
    const { graph } = build(bert)
    expect([...graph.modules.keys()]).toContain('encoder.layer.11.attention.self.query')
    expect(graph.modules.has('pooler.dense')).toBe(true)
    const names = graphNames(findArchitecture(configOf(bert.config)), Object.keys(bert.tensors))
    expect(names.get('bert.encoder.layer.0.output.LayerNorm.gamma')).toBe('bert.encoder.layer.0.output.LayerNorm.weight')
    expect(names.has('bert.embeddings.position_ids')).toBe(false)
  })

  it('does without a pooler that the file lacks', () => {
    const tensors = Object.fromEntries(Object.entries(bert.tensors).filter(([name]) => !name.includes('pooler')))
    expect(build({ ...bert, tensors }).graph.modules.has('pooler.dense')).toBe(false)
  })

  it('refuses tensors of no known head', () => {
    const tensors = { ...bert.tensors, 'bert.encoder.layer.12.output.dense.bias': [768] }
    expect(() => build({ ...bert, tensors })).toThrow('unexpected tensor "encoder.layer.12.output.dense.bias"')
  })
})

describe('encoders refuse what they cannot follow', () => {
  const attempt = (name: string, changes: Record<string, Json>, options = {}): (() => unknown) => {
    const { config, tensors } = published[name]!
    return () => buildModel(configOf({ ...config, ...changes }), onDisk(tensors), { mode: 'full', ...options }, 'published')
  }

  it.each<[string, Record<string, Json>, string]>([
    [
      'bert-base-uncased',
      { position_embedding_type: 'relative_key' },
      '"position_embedding_type": "relative_key" is not supported',
    ],
    ['bert-base-uncased', { is_decoder: true }, '"is_decoder": true is not supported'],
    ['bert-base-uncased', { num_attention_heads: 7 }, '"hidden_size" (768) must be a multiple of "num_attention_heads" (7)'],
    ['bert-base-uncased', { hidden_act: 'prelu' }, 'config.json: "hidden_act": activation "prelu" is not supported'],
    [
      'bert-base-uncased',
      { architectures: ['BertForMultipleChoice'] },
      '"architectures" names BertForMultipleChoice, which is not',
    ],
    ['roberta-base', { pad_token_id: 513 }, 'positions start behind "pad_token_id" (513), which leaves none'],
    ['microsoft/deberta-v3-base', { pos_att_type: 'p2p' }, '"pos_att_type" names "p2p"; supported are c2p and p2c'],
    ['microsoft/deberta-v3-base', { position_buckets: 2 }, '"position_buckets" is 2 with distances up to 512'],
    ['microsoft/deberta-v3-base', { max_relative_positions: 100 }, '"position_buckets" is 256 with distances up to 100'],
    ['microsoft/deberta-v3-base', { attention_head_size: 32 }, '"attention_head_size": 32 is not supported (only 64)'],
    ['microsoft/deberta-v2-xxlarge', { conv_kernel_size: 4 }, '"conv_kernel_size" (4) must be odd'],
    ['google/vit-base-patch16-224', { image_size: '224' }, '"image_size" must be a positive integer or two of them'],
    ['google/vit-base-patch16-224', { patch_size: 256 }, '"patch_size" (256x256) exceeds "image_size" (224x224)'],
  ])('%s with %o', (name, changes, message) => expect(attempt(name, changes)).toThrow(message))

  it('ways of building that only language models have', () => {
    expect(attempt('bert-base-uncased', {}, { mode: 'cached' })).toThrow('a model of type "bert" reads whole rows')
    expect(attempt('roberta-base', {}, { packed: true })).toThrow('rows cannot be packed for a model of type "roberta"')
    expect(attempt('google/vit-base-patch16-224', {}, { packed: true })).toThrow(
      'rows cannot be packed for a model of type "vit"',
    )
  })
})
