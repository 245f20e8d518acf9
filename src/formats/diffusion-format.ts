/**
 * @file LoRA files of image models, read only: kohya's sd-scripts (`lora_unet_….lora_down.weight`, `.alpha`) and diffusers
 * (`unet.….lora_A.weight`, in older files `.lora.down.weight` and `.processor.to_q_lora.down.weight`). One component of the
 * pipeline becomes one PEFT adapter.
 */
import { PREFIX } from '../adapters/lora.js'
import { InvalidAdapterError, InvalidOptionError } from '../errors.js'
import { elementCount, type FileTensor, type HostTensor } from '../graph/types.js'
import type { Files } from '../io/files.js'
import { configFor, reshape, type AdapterFormat, type AdapterReadOptions, type RankAndAlpha } from './adapter-file.js'
import { dottedName } from './kohya-names.js'
import { loadTensor, readSafetensorsHeader, toFloat32 } from './safetensors.js'
import { parseJsonObject } from '../util/json.js'

type Role = 'down' | 'up' | 'alpha' | 'dora'

interface Part {
  readonly component: string
  readonly module: string
  readonly role: Role
}

const kohyaComponents: Readonly<Record<string, string>> = {
  lora_unet: 'unet',
  lora_te: 'text_encoder',
  lora_te1: 'text_encoder',
  lora_te2: 'text_encoder_2',
  lora_te3: 'text_encoder_3',
  lora_transformer: 'transformer',
}

const kohyaRoles: Readonly<Record<string, Role>> = {
  'lora_down.weight': 'down',
  'lora_up.weight': 'up',
  'lora_A.weight': 'down',
  'lora_B.weight': 'up',
  alpha: 'alpha',
  dora_scale: 'dora',
}

const diffusersRoles: Readonly<Record<string, Role>> = {
  'lora_A.weight': 'down',
  'lora_B.weight': 'up',
  'lora.down.weight': 'down',
  'lora.up.weight': 'up',
  'lora_down.weight': 'down',
  'lora_up.weight': 'up',
  'lora_linear_layer.down.weight': 'down',
  'lora_linear_layer.up.weight': 'up',
  alpha: 'alpha',
  'lora.alpha': 'alpha',
  lora_magnitude_vector: 'dora',
}

const KOHYA = /^(lora_(?:unet|te[123]?|transformer))_([^.]+)\.(.+)$/
const DIFFUSERS = /^(unet|transformer|text_encoder(?:_[23])?)\.(.+)$/

/** Which layer and which of its tensors a key names, or undefined. */
function parseKey(key: string, modules: readonly string[] | undefined): Part | undefined {
  const kohya = KOHYA.exec(key)
  if (kohya !== null) {
    const role = Object.hasOwn(kohyaRoles, kohya[3]!) ? kohyaRoles[kohya[3]!]! : undefined
    return role && { component: kohyaComponents[kohya[1]!]!, module: dottedName(kohya[2]!, modules), role }
  }
  const diffusers = DIFFUSERS.exec(key)
  if (diffusers === null) return undefined
  // Attention processors kept the matrices beside the layers: attn1.processor.to_q_lora.down.weight.
  const rest = diffusers[2]!
    .replace(/\.processor\.(to_[qkv])_lora\.(down|up)\.weight$/, '.$1.lora.$2.weight')
    .replace(/\.processor\.to_out_lora\.(down|up)\.weight$/, '.to_out.0.lora.$1.weight')
  const suffix = Object.keys(diffusersRoles)
    .filter((ending) => rest.endsWith(`.${ending}`))
    .sort((a, b) => b.length - a.length)[0]
  return suffix === undefined
    ? undefined
    : { component: diffusers[1]!, module: rest.slice(0, -suffix.length - 1), role: diffusersRoles[suffix]! }
}

/** alpha of each module from diffusers' metadata: a JSON of LoraConfig fields with the component in front. */
function metadataAlpha(text: string | undefined, component: string): ((module: string) => number | undefined) | undefined {
  if (text === undefined) return undefined
  const fields = parseJsonObject(text, 'the metadata "lora_adapter_metadata"', InvalidAdapterError)
  const alpha = fields[`${component}.lora_alpha`]
  const patterns = (fields[`${component}.alpha_pattern`] ?? {}) as Record<string, unknown>
  if (fields[`${component}.use_rslora`] === true)
    throw new InvalidAdapterError(
      'the metadata says "use_rslora": true, which image files do not apply alike; convert with PEFT instead',
    )
  return (module) => {
    const own = Object.entries(patterns).find(([key]) => module === key || module.endsWith(`.${key}`))?.[1] ?? alpha
    return typeof own === 'number' ? own : undefined
  }
}

interface LayerTensors {
  down?: FileTensor
  up?: FileTensor
  alpha?: FileTensor
  dora?: FileTensor
}

/** The layers of each component. */
function sortKeys(
  header: ReadonlyMap<string, FileTensor>,
  path: string,
  options: AdapterReadOptions,
): Map<string, Map<string, LayerTensors>> {
  const modules = options.modules === undefined ? undefined : [...options.modules.keys()]
  const components = new Map<string, Map<string, LayerTensors>>()
  const unknown: string[] = []
  for (const [key, tensor] of header) {
    const part = parseKey(key, modules)
    if (part === undefined) {
      unknown.push(key)
      continue
    }
    const layers = components.get(part.component) ?? new Map<string, LayerTensors>()
    components.set(part.component, layers)
    const layer = layers.get(part.module) ?? {}
    layers.set(part.module, layer)
    layer[part.role] = tensor
  }
  if (unknown.length > 0)
    throw new InvalidAdapterError(
      `${path}: ${unknown.length} tensors are of no kind that can be converted (LoRA matrices, alpha, DoRA): ${unknown.slice(0, 5).join(', ')}` +
        `${unknown.some((key) => /hada|lokr|lora_mid/.test(key)) ? "; LoHa, LoKr and LoCon with lora_mid have no equal in PEFT's LoRA" : ''}`,
    )
  return components
}

function choose<T>(components: ReadonlyMap<string, T>, wanted: string | undefined, path: string): [string, T] {
  const names = [...components.keys()]
  const name = wanted ?? (names.length === 1 ? names[0]! : undefined)
  const found = name === undefined ? undefined : components.get(name)
  if (name === undefined || found === undefined)
    throw new InvalidOptionError(
      `${path} holds adapters for ${names.join(' and ')}; choose one as component (--component ${names[0]})`,
    )
  return [name, found]
}

async function readAlpha(files: Files, tensor: FileTensor | undefined): Promise<number | undefined> {
  if (tensor === undefined || elementCount(tensor.shape) !== 1) return undefined
  const value = toFloat32(await loadTensor(files, tensor))[0]!
  return value === 0 ? undefined : value
}

export const diffusionFormat: AdapterFormat = {
  name: 'diffusion',
  description: 'a .safetensors file of kohya or diffusers',
  async holds(files, path) {
    if (!path.endsWith('.safetensors') || (await files.isDirectory(path))) return false
    const { tensors } = await readSafetensorsHeader(files, path)
    return [...tensors.keys()].some((key) => KOHYA.test(key) || (DIFFUSERS.test(key) && /lora/.test(key)))
  },
  takes: () => false,

  async read(files, path, options) {
    const { tensors: header, metadata } = await readSafetensorsHeader(files, path)
    const [component, layers] = choose(sortKeys(header, path, options), options.component, path)
    const fromMetadata = metadataAlpha(metadata['lora_adapter_metadata'], component)
    const tensors = new Map<string, HostTensor>()
    const described: RankAndAlpha[] = []
    let assumed = 0
    let dora = false
    for (const [module, { down, up, alpha: stored, dora: magnitude }] of layers) {
      if (down === undefined || up === undefined)
        throw new InvalidAdapterError(
          `${path}: ${module} lacks its ${down === undefined ? 'first' : 'second'} matrix; the file is incomplete`,
        )
      const [A, B] = [await loadTensor(files, down), await loadTensor(files, up)]
      const r = A.shape[0]!
      if (B.shape[1] !== r || A.shape.length < 2)
        throw new InvalidAdapterError(
          `${path}: ${module} has matrices [${A.shape.join(', ')}] and [${B.shape.join(', ')}] without a common rank`,
        )
      const alpha = (await readAlpha(files, stored)) ?? fromMetadata?.(module)
      if (alpha === undefined) assumed++
      described.push({ module, r, alpha: alpha ?? r })
      tensors.set(`${PREFIX}${module}.lora_A.weight`, A)
      tensors.set(`${PREFIX}${module}.lora_B.weight`, B)
      if (magnitude === undefined) continue
      dora = true
      const out = B.shape[0]!
      if (magnitude.shape[0] !== out && !(magnitude.shape[0] === 1 && magnitude.shape[1] === out && A.shape.length > 2))
        throw new InvalidAdapterError(
          `${path}: the DoRA scale of ${module} [${magnitude.shape.join(', ')}] is not one for each of the ${out} outputs, as PEFT's is`,
        )
      const shape = A.shape.length === 2 ? [out] : [1, out, ...A.shape.slice(2).map(() => 1)]
      tensors.set(`${PREFIX}${module}.lora_magnitude_vector`, reshape(await loadTensor(files, magnitude), shape))
    }
    return {
      config: configFor(described, {
        targetModules: described.map(({ module }) => module),
        useDora: dora,
        baseModelNameOrPath: options.baseModel ?? null,
        taskType: options.taskType ?? null,
      }),
      tensors,
      notes: [
        { text: `for ${component} of the pipeline`, loss: false },
        ...(assumed === 0
          ? []
          : [{ text: `${assumed} layers tell no alpha; as kohya and diffusers do, it is taken as the rank`, loss: false }]),
      ],
    }
  },
}
