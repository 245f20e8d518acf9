/** @file RoBERTa (Liu et al., 2019), XLM-RoBERTa and CamemBERT: BERT with positions counted from the padding id and a deeper head. */
import { InvalidModelError } from '../errors.js'
import { int, type Value } from '../graph/types.js'
import { activationNamed } from './activations.js'
import type { Architecture } from './architecture.js'
import { bert, buildBert } from './bert.js'
import { bertDefaults, readBert } from './bert-layers.js'
import { classifier, refuseLanguageModelOptions, textTasks } from './encoder.js'
import type { ModelBuilder } from './model-builder.js'

/** `padding` + 1, + 2, … for the tokens that are no padding, `padding` for the others: int64 [batch, sequence]. */
function positionsBeyond({ b }: ModelBuilder, inputIds: Value, padding: number): Value {
  const real = b.cast(b.not(b.equal(inputIds, padding)), 'int64')
  const count = b.emit('CumSum', [real, b.scalar(1, 'int64')], { exclusive: int(0) })
  return b.add(b.mul(count, real), padding)
}

export const roberta: Architecture = {
  modelTypes: ['roberta', 'xlm-roberta', 'camembert'],
  classPrefixes: ['Roberta', 'XLMRoberta', 'Camembert'],
  defaultTargetModules: ['query', 'value'],
  baseModelPrefix: 'roberta.',
  tasks: textTasks,
  ignoredTensors: bert.ignoredTensors!,
  spareTensors: /^(lm_head|classifier|qa_outputs|roberta\.pooler)\./,
  unreadModules: /^lm_head\./,
  dropsOut: true,
  renameTensor: bert.renameTensor!,
  build(model, givenConfig, task, prefix) {
    const isFirst = givenConfig.string('model_type') === 'roberta'
    const config = givenConfig.withDefaults({ ...bertDefaults, ...(isFirst && { vocab_size: 50_265 }), pad_token_id: 1 })
    refuseLanguageModelOptions(model, config)
    const size = readBert(config)
    const { hidden } = size
    const padding = config.integer('pad_token_id')
    // The rows up to the padding id are no positions of tokens.
    const maxPositions = size.maxPositions - padding - 1
    if (padding < 0 || maxPositions < 1)
      throw new InvalidModelError(
        `${config.source}: positions start behind "pad_token_id" (${padding}), which leaves none of "max_position_embeddings" (${size.maxPositions})`,
      )
    return buildBert(model, config, size, task, {
      prefix,
      maxPositions,
      positions: ({ inputIds }) => positionsBeyond(model, inputIds, padding),
      ofSequence: (first) => {
        const dropped = (x: Value): Value => model.headDropout(x, size.dropout.head)
        const dense = model.b.tanh(model.linear('classifier.dense', dropped(first), hidden, hidden, { bias: true }))
        return classifier(model, 'classifier.out_proj', dropped(dense), hidden, task.numLabels)
      },
      ofMasked: () => ({
        ...{ dense: 'lm_head.dense', norm: 'lm_head.layer_norm', decoder: 'lm_head.decoder', decoderBias: 'lm_head.bias' },
        // Whatever `hidden_act` is.
        activation: activationNamed('gelu', config.source),
        epsilon: size.epsilon,
      }),
    })
  },
}
