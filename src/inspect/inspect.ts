/** @file A description of what a path holds: model folder, adapter folder, .safetensors or .onnx. Headers are read, weights are not. */
import { LoraPart } from '../adapters/lora.js'
import type { LoraConfig } from '../adapters/lora-config.js'
import { isSavedPath } from '../adapters/adapter-parts.js'
import { checkAdapterTensors } from '../adapters/strict.js'
import { matchTargets } from '../adapters/targets.js'
import { InvalidModelError, InvalidOptionError } from '../errors.js'
import { CONFIG_FILE, readAdapterFolder, tensorsFile } from '../formats/peft.js'
import { TORCH_FILE } from '../formats/loralib-format.js'
import { readSafetensorsHeader } from '../formats/safetensors.js'
import { elementCount } from '../graph/types.js'
import type { Environment } from '../environment.js'
import { inspectGguf } from './gguf.js'
import { inspectAdapterFile, inspectTorch } from './torch.js'
import type { AdapterInspection, FileInspection, InspectOptions, Inspection, ModelInspection } from './inspection.js'
import { FolderModel } from '../model/folder-model.js'
import { readHeadFile } from '../adapter/adapter-head.js'
import { modulesOfTensors } from '../adapter/tensor-modules.js'
import { inspectOnnx } from './onnx.js'

/**
 * Describes a model or adapter folder, a `.safetensors` or an `.onnx` file.
 * @throws InvalidModelError, InvalidAdapterError if it is damaged or of an unknown kind
 * @throws InvalidOptionError for constants or lengths of anything but an .onnx file, or that do not fit its inputs
 */
export async function inspect(path: string, environment: Environment, options: InspectOptions = {}): Promise<Inspection> {
  const { files } = environment
  for (const name of ['constants', 'dims'] as const)
    if (options[name] !== undefined && !path.endsWith('.onnx'))
      throw new InvalidOptionError(`${name} is an option of .onnx files; "${path}" is none`)
  if (await files.isDirectory(path)) {
    const mlx = await inspectAdapterFile(path, environment)
    if (mlx !== undefined) return mlx
    if (await files.exists(`${path}/${CONFIG_FILE}`)) return inspectAdapter(path, environment)
    if (await files.exists(`${path}/config.json`)) return inspectModel(path, environment)
    throw new InvalidModelError(`"${path}" holds neither config.json (a model) nor ${CONFIG_FILE} (an adapter)`)
  }
  if (!(await files.exists(path))) throw new InvalidModelError(`"${path}" does not exist`)
  if (path.endsWith('.safetensors')) return (await inspectAdapterFile(path, environment)) ?? inspectSafetensors(path, environment)
  if (path.endsWith('.onnx')) return inspectOnnx(path, files, options)
  const adapter = await inspectAdapterFile(path, environment)
  if (adapter !== undefined) return adapter
  if (path.endsWith('.gguf')) return inspectGguf(path, environment)
  if (TORCH_FILE.test(path)) return inspectTorch(path, environment)
  throw new InvalidModelError(
    `"${path}" is of no kind that can be inspected; expected a model or adapter folder, .safetensors, .onnx, .gguf, .onnx_adapter or a torch file (.pt, .pth, .th, .bin)`,
  )
}

async function inspectModel(path: string, environment: Environment): Promise<ModelInspection> {
  const model = await FolderModel.open(path, environment)
  return {
    kind: 'model',
    path,
    architecture: model.config.string('model_type'),
    parameters: model.parameterCount,
    dtypes: [...new Set([...model.weights.values()].map(({ dtype }) => dtype))].sort(),
    vocabularySize: model.vocabularySize,
    maxPositions: model.maxPositions,
    defaultTargetModules: model.architecture.defaultTargetModules,
    modules: [...model.modules.values()]
      .filter(({ kind }) => kind !== 'Embedding')
      .map(({ name, kind, inFeatures, outFeatures }) => ({
        name,
        kind,
        shape: kind === 'Conv1D' ? [inFeatures, outFeatures] : [outFeatures, inFeatures],
        parameters: inFeatures * outFeatures,
      })),
  }
}

/** Whether a tensor stands for one of the base, by its name and what the configuration allows. */
const isReplacement = (name: string, { bias, modulesToSave, trainableTokenIndices }: LoraConfig): boolean =>
  !/\.lora_/.test(name) &&
  (name.endsWith('.base_layer.weight') ||
    (bias !== 'none' && name.endsWith('.bias')) ||
    (trainableTokenIndices !== null && name.endsWith('.trainable_tokens_delta')) ||
    isSavedPath(name.replace(/^base_model\.model\./, '').replace(/\.[^.]+$/, ''), modulesToSave ?? []))

async function inspectAdapter(path: string, { files }: Environment): Promise<AdapterInspection> {
  const { config, tensors } = await readAdapterFolder(files, path)
  const modules = modulesOfTensors(tensors)
  // A folder without target_modules relies on the architecture's defaults; here the tensors themselves say what is adapted.
  const named = {
    ...config,
    targetModules: [...modules.keys()],
    modulesToSave: null,
    layersToTransform: null,
    layersPattern: null,
  }
  const targets = matchTargets(modules, named, { anyRank: true })
  // Without the model, tensors that replace the base's own cannot be checked: names of branches alone can.
  checkAdapterTensors(
    targets.map((target) => new LoraPart(target, { useDora: config.useDora, loraBias: config.loraBias })),
    new Map([...tensors].filter(([name]) => !isReplacement(name, config))),
    path,
  )
  const { task, labels = [] } = await readHeadFile(files, path)
  return {
    kind: 'adapter',
    path,
    baseModel: config.baseModelNameOrPath,
    r: config.r,
    alpha: config.loraAlpha,
    dropout: config.loraDropout,
    useRslora: config.useRslora,
    rankPattern: config.rankPattern,
    alphaPattern: config.alphaPattern,
    targetModules: config.targetModules,
    ...(task !== undefined && { head: { task, labels } }),
    parameters: [...tensors.values()].reduce((sum, { shape }) => sum + elementCount(shape), 0),
    bytes: await files.size(await tensorsFile(files, path)),
    modules: targets.map(({ module: { name, inFeatures, outFeatures }, r, alpha, scale }) => ({
      name,
      r,
      alpha,
      scale,
      inFeatures,
      outFeatures,
      parameters: r * (inFeatures + outFeatures),
    })),
  }
}

async function inspectSafetensors(path: string, { files }: Environment): Promise<FileInspection> {
  const { tensors, metadata } = await readSafetensorsHeader(files, path)
  const matrices = [...tensors].filter(([name, { shape }]) => name.endsWith('.weight') && shape.length >= 2)
  return {
    kind: 'safetensors',
    path,
    parameters: [...tensors.values()].reduce((sum, { shape }) => sum + elementCount(shape), 0),
    bytes: await files.size(path),
    tensors: tensors.size,
    metadata,
    modules: matrices.map(([name, { shape }]) => ({
      name: name.slice(0, -'.weight'.length),
      kind: shape.length === 2 ? 'matrix' : 'kernel',
      shape,
      parameters: elementCount(shape),
    })),
  }
}
