/**
 * @file Time and memory to build the step graph of a llama of a billion parameters, its weights mere references: the passes of
 * which training is made, one by one, without a model folder that an entry could open.
 */
import { matchTargets } from '../src/adapters/targets.js'
import { attachLora } from '../src/adapters/lora.js'
import { completeLoraConfig } from '../src/adapters/complete-lora-config.js'
import { elementCount } from '../src/graph/types.js'
import { causalLmLoss } from '../src/losses/causal-lm.js'
import { ConfigReader } from '../src/models/config-reader.js'
import { buildLanguageModel, weightShapes } from '../src/models/registry.js'
import { encodeModel } from '../src/onnx/encode.js'
import { gradientGraph } from '../src/train/gradient-graph.js'
import { peakBytes } from './peak-memory.js'

const config = new ConfigReader(
  {
    ...{ architectures: ['LlamaForCausalLM'], model_type: 'llama', hidden_act: 'silu', rms_norm_eps: 1e-5 },
    ...{ vocab_size: 128256, hidden_size: 2048, intermediate_size: 8192, num_hidden_layers: 16 },
    ...{ num_attention_heads: 32, num_key_value_heads: 8, head_dim: 64, max_position_embeddings: 131072 },
    ...{ tie_word_embeddings: true, rope_theta: 500000 },
    rope_scaling: {
      rope_type: 'llama3',
      factor: 32,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 8192,
    },
  },
  'llama-1b',
)
const weights = new Map(
  [...weightShapes(config)].map(([name, shape]) => {
    const length = elementCount(shape) * 2
    return [name, { dtype: 'bfloat16' as const, shape, file: { path: 'model.safetensors', offset: 0, length } }]
  }),
)

const started = performance.now()
const model = buildLanguageModel(config, weights, { mode: 'full' }, 'llama-1b')
const lora = completeLoraConfig({ r: 8, loraAlpha: 16, targetModules: 'all-linear', taskType: 'CAUSAL_LM' }, [])
const adapted = attachLora(model.graph, matchTargets(model.graph.modules, lora), { scaling: 'graph' })
const { graph, loss } = causalLmLoss(adapted.graph, { hidden: model.hidden, logits: adapted.graph.outputs[0]!, chunks: 8 })
const step = gradientGraph(graph, loss, adapted.parameters)
const bytes = encodeModel(step, (path) => path).length
const seconds = (performance.now() - started) / 1000
const parameters = [...weights.values()].reduce((sum, { shape }) => sum + elementCount(shape), 0)
console.log(JSON.stringify({ seconds, peakBytes: peakBytes(), parameters, nodes: step.nodes.length, bytes }))
