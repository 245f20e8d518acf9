/**
 * @file Checkpoints of loralib (microsoft/LoRA), `lora.lora_state_dict(model)` in a torch file: `<module>.lora_A`,
 * `<module>.lora_B`, and whatever else was trained. The file tells neither alpha nor the kind of a layer.
 */
import { PREFIX } from '../adapters/lora.js'
import { InvalidAdapterError, InvalidOptionError } from '../errors.js'
import type { HostTensor } from '../graph/types.js'
import {
  configFor,
  isPowerOfTwo,
  refuseVariants,
  reshape,
  scaled,
  splitAdapter,
  type AdapterFile,
  type AdapterFormat,
  type AdapterReadOptions,
  type ConversionNote,
  type RankAndAlpha,
} from './adapter-file.js'
import { convolution, mergedLinear } from './loralib-layers.js'
import { encodeTorch, namedTensors, openTorch, readTorchTensors } from './torch/index.js'

export const TORCH_FILE = /\.(pt|pth|th|bin|ckpt)$/

const endsWithName = (module: string, name: string): boolean => module === name || module.endsWith(`.${name}`)

interface Layer extends RankAndAlpha {
  /** Whether only its shapes say that it is a Linear. */
  readonly plain: boolean
  readonly tensors: readonly (readonly [suffix: string, tensor: HostTensor])[]
}

/** The kernel size of a convolution: from the options, the model, or the weight beside the matrices. */
function kernelOf(module: string, tensors: ReadonlyMap<string, HostTensor>, options: AdapterReadOptions): number | undefined {
  const given = Object.entries(options.kernelSizes ?? {}).find(([name]) => endsWithName(module, name))
  if (given !== undefined) return given[1]
  const known = options.modules?.get(module)?.convolution
  const weight = tensors.get(`${module}.conv.weight`) ?? tensors.get(`${module}.weight`)
  const kernel = known?.kernel ?? (weight !== undefined && weight.shape.length > 2 ? weight.shape.slice(2) : undefined)
  if (kernel === undefined) return undefined
  if (kernel.length !== 2 || kernel[0] !== kernel[1])
    throw new InvalidAdapterError(
      `${module}: loralib has convolutions with square kernels of two dimensions only, got ${kernel.join(' × ')}`,
    )
  if ((known?.groups ?? 1) !== 1)
    throw new InvalidAdapterError(
      `${module} is a convolution of ${known!.groups} groups; PEFT's A sees all channels, so loralib's matrices have no equal in it`,
    )
  return kernel[0]
}

/** One layer's matrices in PEFT's form. */
function convertLayer(
  module: string,
  tensors: ReadonlyMap<string, HostTensor>,
  alpha: number,
  options: AdapterReadOptions,
): Layer {
  const A = tensors.get(`${module}.lora_A`)
  const B = tensors.get(`${module}.lora_B`)
  if (A === undefined || B === undefined)
    throw new InvalidAdapterError(`${module} has only one of lora_A and lora_B; the checkpoint is incomplete`)
  if (A.shape.length !== 2 || B.shape.length !== 2 || A.shape[0] === 0 || B.shape[1] === 0)
    throw new InvalidAdapterError(
      `${module}: lora_A [${A.shape.join(', ')}] and lora_B [${B.shape.join(', ')}] must be matrices of rank 1 and more`,
    )
  const rows = A.shape[0]!
  const r = B.shape[1]!
  const kernel = kernelOf(module, tensors, options)
  if (kernel !== undefined) {
    if (rows !== r)
      throw new InvalidAdapterError(
        `${module}: lora_A has ${rows} rows, lora_B ${r} columns; they must be equal for a convolution`,
      )
    const layer = convolution(module, A, B, kernel)
    return {
      module,
      plain: false,
      r: layer.r,
      alpha: alpha * layer.growth,
      tensors: [
        ['lora_A.weight', layer.A],
        ['lora_B.weight', layer.B],
      ],
    }
  }
  if (rows !== r) {
    if (rows % r !== 0)
      throw new InvalidAdapterError(`${module}: lora_A has ${rows} rows, which is no multiple of the ${r} columns of lora_B`)
    const places = options.enableLora ?? (options.anyPlace === true ? new Array<boolean>(rows / r).fill(true) : undefined)
    if (places === undefined)
      throw new InvalidOptionError(
        `${module} is a MergedLinear of ${rows / r} enabled slices, and the file does not tell which; give enableLora (--enable-lora true,false,true for query and value of three)`,
      )
    const layer = mergedLinear(module, A, B, places)
    return {
      module,
      plain: false,
      r: layer.r,
      alpha: alpha * layer.growth,
      tensors: [
        ['lora_A.weight', layer.A],
        ['lora_B.weight', layer.B],
      ],
    }
  }
  const isEmbedding =
    (options.embeddings ?? []).some((name) => endsWithName(module, name)) || options.modules?.get(module)?.kind === 'Embedding'
  const suffixes = isEmbedding ? ['lora_embedding_A', 'lora_embedding_B'] : ['lora_A.weight', 'lora_B.weight']
  return {
    module,
    plain: !isEmbedding,
    r,
    alpha,
    tensors: [
      [suffixes[0]!, A],
      [suffixes[1]!, B],
    ],
  }
}

/** The module to save whole for a tensor: the topmost block that holds no adapted layer. */
function savedModule(name: string, adapted: readonly string[]): string {
  const parts = name.split('.').slice(0, -1)
  for (let n = 1; n < parts.length; n++) {
    const block = parts.slice(0, n).join('.')
    if (!adapted.some((module) => module === block || module.startsWith(`${block}.`))) return block
  }
  return parts.join('.')
}

interface Rest {
  readonly tensors: [string, HostTensor][]
  readonly bias: 'none' | 'all' | 'lora_only'
  readonly modulesToSave: string[]
  readonly notes: ConversionNote[]
}

/** Biases and modules trained whole; base weights of a full checkpoint are left out. */
function convertRest(rest: ReadonlyMap<string, HostTensor>, adapted: readonly string[]): Rest {
  const isAdapted = new Set(adapted)
  const full = adapted.some((module) => rest.has(`${module}.weight`) || rest.has(`${module}.conv.weight`))
  if (full)
    return {
      tensors: [],
      bias: 'none',
      modulesToSave: [],
      notes: [
        {
          text: `the file holds the base model's weights as well; those ${rest.size} tensors are left out, trained ones among them`,
          loss: true,
        },
      ],
    }
  const weights = [...rest.keys()].filter((name) => !name.endsWith('.bias'))
  const saved = [...new Set(weights.map((name) => savedModule(name, adapted)))]
  const tensors: [string, HostTensor][] = []
  let bias: Rest['bias'] = 'none'
  for (const [name, tensor] of rest) {
    const module = name.slice(0, name.lastIndexOf('.'))
    const whole = saved.some((s) => name.startsWith(`${s}.`))
    if (!whole && isAdapted.has(module)) {
      if (bias === 'none') bias = 'lora_only'
      tensors.push([`${PREFIX}${module}.base_layer.bias`, tensor])
    } else {
      if (!whole) bias = 'all'
      tensors.push([`${PREFIX}${name}`, tensor])
    }
  }
  return { tensors, bias, modulesToSave: saved, notes: [] }
}

/** The tensors of a loralib checkpoint as a PEFT adapter. */
export function fromLoralib(tensors: ReadonlyMap<string, HostTensor>, options: AdapterReadOptions, source: string): AdapterFile {
  const modules = [...new Set([...tensors.keys()].flatMap((name) => /^(.*)\.lora_[AB]$/.exec(name)?.[1] ?? []))]
  if (modules.length === 0)
    throw new InvalidAdapterError(`${source} holds no "<module>.lora_A"; expected a checkpoint of loralib's lora_state_dict`)
  const { alpha } = options
  if (alpha === undefined || !Number.isFinite(alpha))
    throw new InvalidOptionError(
      `${source} does not tell alpha, the numerator of the scale alpha/r; give the lora_alpha that it was trained with (--alpha 16, say)`,
    )
  const layers = modules.map((module) => convertLayer(module, tensors, alpha, options))
  const rest = convertRest(new Map([...tensors].filter(([name]) => !/\.lora_[AB]$/.test(name))), modules)
  const notes = [...rest.notes]
  if (options.modules === undefined && layers.some((layer) => layer.plain))
    notes.push({
      text: 'the file does not tell the kinds of its layers: they are taken as Linear; name embeddings and kernel sizes, or the model, if there are others',
      loss: false,
    })
  const task = tensors.has('classifier.dense.weight') && tensors.has('classifier.out_proj.weight') ? 'SEQ_CLS' : null
  return {
    config: configFor(layers, {
      bias: rest.bias,
      modulesToSave: rest.modulesToSave.length === 0 ? null : rest.modulesToSave,
      taskType: options.taskType ?? task,
      baseModelNameOrPath: options.baseModel ?? null,
    }),
    tensors: new Map([
      ...layers.flatMap(({ module, tensors: list }) =>
        list.map(([suffix, tensor]) => [`${PREFIX}${module}.${suffix}`, tensor] as const),
      ),
      ...rest.tensors,
    ]),
    notes,
  }
}

export const loralibFormat: AdapterFormat = {
  name: 'loralib',
  description: 'a torch file (.pt, .pth, .th, .bin) of loralib',
  async holds(files, path) {
    if (!TORCH_FILE.test(path) || (await files.isDirectory(path))) return false
    return [...namedTensors(await openTorch(files, path)).tensors.keys()].some((name) => name.endsWith('.lora_A'))
  },
  takes: (path) => TORCH_FILE.test(path),

  async read(files, path, options) {
    const { loaded, wrapper, ignored } = await readTorchTensors(files, path)
    const adapter = fromLoralib(loaded, options, path)
    if (ignored.length === 0) return adapter
    const note = { text: `read from "${wrapper}"; left out beside it: ${ignored.join(', ')}`, loss: false }
    return { ...adapter, notes: [note, ...adapter.notes] }
  },

  async write(files, path, adapter) {
    const { pairs, rest } = splitAdapter(adapter)
    refuseVariants(pairs, 'loralib', { conv: true })
    const { loraAlpha } = adapter.config
    const tensors = new Map<string, HostTensor>()
    for (const { module, A, B, r, scale } of pairs) {
      if (A.shape.slice(2).some((size) => size !== 1))
        throw new InvalidAdapterError(
          `${module}: a convolution's A [${A.shape.join(', ')}] has no equal in loralib, whose matrices are cut in another way; merge the adapter into the model instead`,
        )
      tensors.set(`${module}.lora_A`, reshape(A, A.shape.slice(0, 2)))
      tensors.set(`${module}.lora_B`, scaled(reshape(B, B.shape.slice(0, 2)), (scale * r) / loraAlpha))
    }
    for (const [name, tensor] of rest) tensors.set(name.replace(/\.base_layer\.bias$/, '.bias'), tensor)
    await files.write(path, encodeTorch(tensors))
    const notes: ConversionNote[] = [
      { text: `the file cannot tell alpha: make the layers with lora_alpha=${loraAlpha} and the rank of each`, loss: false },
    ]
    const factors = pairs.map(({ r, scale }) => (scale * r) / loraAlpha).filter((factor) => factor !== 1)
    if (factors.length > 0)
      notes.push({
        text: `loralib has one alpha: B of ${factors.length} layers with another scale is multiplied`,
        loss: factors.some((factor) => !isPowerOfTwo(factor)),
      })
    return notes
  },
}
