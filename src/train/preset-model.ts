/** @file What a preset needs to know of a model; apart from the presets, which flags read without loading any. */
import type { Model } from '../model/model.js'
import { OnnxModel } from '../onnx-model/onnx-model.js'
import type { PresetModel } from './presets.js'

/** Examples that share a row are of language models whose attention is ours to say. */
export const presetModel = (model: Model): PresetModel => ({
  packs: model.task.name === 'causal-lm' && !(model instanceof OnnxModel),
})
