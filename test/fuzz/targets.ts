/** @file What the fuzzer reads with: per format its seeds, its mutations and the public readers. */
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { inspect } from '../../src/inspect/inspect.js'
import { convert } from '../../src/adapter/convert.js'
import type { Environment } from '../../src/environment.js'
import { readTokenizerFolder } from '../../src/data/tokenizer-folder.js'
import { encodeGguf, loadGgufTensor, readGgufHeader } from '../../src/formats/gguf/index.js'
import { loadTensor, readSafetensorsHeader } from '../../src/formats/safetensors.js'
import { loadTorchTensor, namedTensors, openTorch } from '../../src/formats/torch/index.js'
import { decodeOnnxAdapter } from '../../src/formats/onnx-adapter.js'
import { findModules } from '../../src/onnx-model/find-modules.js'
import { tensor } from '../../src/graph/constants.js'
import { isFileTensor } from '../../src/graph/types.js'
import type { Files } from '../../src/io/files.js'
import { lower } from '../../src/lower/lower.js'
import { decodeModel } from '../../src/onnx/decode.js'
import { mutateBytes } from './bytes.js'
import { mutateJson } from './json.js'
import { mutateOnnx } from './onnx.js'
import type { Random } from './random.js'
import { hostileZip, mutatePickle } from './torch.js'

export type Content = Readonly<Record<string, Uint8Array | string>>

/** One format: a mutated file (with those beside it) and how it is read. */
export interface Target {
  /** Cases of a hundred. */
  readonly share: number
  /** Files by path; all lie in `model/`. */
  make(random: Random): Content
  read(files: Files): Promise<unknown>
}

const fixtures = 'test/fixtures'
const bytesAt = (path: string): Uint8Array => new Uint8Array(readFileSync(path))
const filesIn = (folder: string, ending: RegExp): Uint8Array[] =>
  existsSync(folder) ? readdirSync(folder).filter((name) => ending.test(name)).sort().map((name) => bytesAt(`${folder}/${name}`)) : [] // prettier-ignore

/** Models of a hundred kilobytes and more are one case in fifty: they take long. */
function seedOf(small: readonly Uint8Array[], large: readonly Uint8Array[]): (random: Random) => Uint8Array {
  return (random) => random.pick(large.length > 0 && random.below(50) === 0 ? large : small)
}

const environment = (files: Files): Environment => ({
  files,
  runtime: {
    createSession: () => Promise.reject(new Error('nothing of a stranger is run here')),
  } as unknown as Environment['runtime'],
  now: () => 0,
  peakMemoryBytes: () => 0,
})

function onnxTarget(): Target {
  const models = readdirSync(`${fixtures}/golden/onnx`).sort().map((name) => bytesAt(`${fixtures}/golden/onnx/${name}/model.onnx`)) // prettier-ignore
  const all = [...filesIn(`${fixtures}/onnx`, /\.onnx$/), ...models]
  const pick = seedOf(all.filter((m) => m.length < 20_000), all.filter((m) => m.length >= 20_000)) // prettier-ignore
  return {
    share: 40,
    make: (random) => {
      const seed = pick(random)
      const bytes = random.below(3) === 0 ? mutateBytes(seed, random) : mutateOnnx(seed, random)
      return { 'model/model.onnx': bytes, 'model/weights.bin': new Uint8Array(4096) }
    },
    read: async (files) => {
      const graph = decodeModel(await files.read('model/model.onnx'), { folder: 'model', source: 'model/model.onnx' })
      for (const initializer of graph.initializers.values()) if (isFileTensor(initializer)) await loadTensor(files, initializer)
      const { graph: lowered } = lower(graph)
      return findModules(lowered)
    },
  }
}

const headerOf = (bytes: Uint8Array): number => Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true))

/** The file with another header; its length is told truly. */
function withHeader(bytes: Uint8Array, edit: (text: string) => string): Uint8Array {
  const length = headerOf(bytes)
  const header = Buffer.from(edit(Buffer.from(bytes.subarray(8, 8 + length)).toString()))
  const prefix = Buffer.alloc(8)
  prefix.writeBigUInt64LE(BigInt(header.length))
  return new Uint8Array(Buffer.concat([prefix, header, bytes.subarray(8 + length)]))
}

/** The trained adapter of a small Llama, as a folder. */
const adapterFolder = `${fixtures}/golden/peft/llama/adapter-trained`

function safetensorsTarget(): Target {
  const seeds = [
    bytesAt(`${adapterFolder}/adapter_model.safetensors`),
    bytesAt(`${fixtures}/golden/onnx/conv1d-dynamo/tensors.safetensors`),
  ]
  return {
    share: 20,
    make: (random) => {
      const seed = random.pick(seeds)
      return {
        'model/a.safetensors':
          random.below(2) === 0 ? mutateBytes(seed, random) : withHeader(seed, (text) => mutateJson(text, random)),
      }
    },
    read: async (files) => {
      const { tensors } = await readSafetensorsHeader(files, 'model/a.safetensors')
      for (const place of tensors.values()) await loadTensor(files, place)
      await inspect('model/a.safetensors', environment(files))
    },
  }
}

function torchTarget(): Target {
  const seeds = filesIn(`${fixtures}/torch`, /\.(pt|th)$/)
  return {
    share: 25,
    make: (random) => {
      const kind = random.below(8)
      return {
        'model/a.pt': kind === 0 ? hostileZip(random) : (kind < 5 ? mutatePickle : mutateBytes)(random.pick(seeds), random),
      }
    },
    read: async (files) => {
      const file = await openTorch(files, 'model/a.pt')
      for (const place of namedTensors(file).tensors.values()) await loadTorchTensor(files, file, place)
      await inspect('model/a.pt', environment(files))
    },
  }
}

function adapterTarget(): Target {
  const config = readFileSync(`${adapterFolder}/adapter_config.json`, 'utf8')
  const weights = bytesAt(`${adapterFolder}/adapter_model.safetensors`)
  return {
    share: 5,
    make: (random) => ({
      'model/adapter_config.json': mutateJson(config, random),
      'model/adapter_model.safetensors':
        random.below(2) === 0 ? weights : withHeader(weights, (text) => mutateJson(text, random)),
    }),
    read: async (files) => {
      await inspect('model', environment(files))
      await convert('model', 'model/out.onnx_adapter', {}, environment(files))
    },
  }
}

function onnxAdapterTarget(): Target {
  const seed = bytesAt(`${fixtures}/formats/python.onnx_adapter`)
  return {
    share: 4,
    make: (random) => ({ 'model/a.onnx_adapter': mutateBytes(seed, random) }),
    read: async (files) => {
      decodeOnnxAdapter(await files.read('model/a.onnx_adapter'), 'model/a.onnx_adapter')
      await inspect('model/a.onnx_adapter', environment(files))
    },
  }
}

function ggufTarget(): Target {
  const seed = encodeGguf(
    new Map([
      ['general.type', { type: 'string', value: 'adapter' }],
      ['general.architecture', { type: 'string', value: 'llama' }],
      ['adapter.type', { type: 'string', value: 'lora' }],
      ['adapter.lora.alpha', { type: 'float32', value: 16 }],
      ['numbers', { type: 'array', items: 'uint32', value: [1, 2, 3] }],
    ]),
    new Map([
      ['blk.0.attn_q.weight.lora_a', tensor('float32', [2, 4], [1, 2, 3, 4, 5, 6, 7, 8])],
      ['blk.0.attn_q.weight.lora_b', tensor('float32', [4, 2], [1, 2, 3, 4, 5, 6, 7, 8])],
    ]),
  )
  return {
    share: 3,
    make: (random) => ({ 'model/a.gguf': mutateBytes(seed, random) }),
    read: async (files) => {
      const { tensors } = await readGgufHeader(files, 'model/a.gguf')
      for (const [name, place] of tensors) await loadGgufTensor(files, 'model/a.gguf', name, place)
      await inspect('model/a.gguf', environment(files))
    },
  }
}

/** A model's folder: config.json, its weights' header, tokenizer files. */
function folderTarget(): Target {
  const folder = `${fixtures}/golden/peft/llama/model`
  const config = readFileSync(`${folder}/config.json`, 'utf8')
  const weights = bytesAt(`${folder}/model.safetensors`)
  const tokenizer = JSON.stringify({ tokenizer_class: 'LlamaTokenizer', chat_template: '{{ messages }}', bos_token: { content: '<s>' }, eos_token: '</s>', model_max_length: 64 }) // prettier-ignore
  const index = JSON.stringify({ metadata: { total_size: 1 }, weight_map: { a: 'model.safetensors', b: 'other.safetensors' } })
  return {
    share: 3,
    make: (random) => ({
      'model/config.json': mutateJson(config, random),
      'model/tokenizer.json': mutateJson(
        '{"version":"1.0","model":{"type":"BPE","vocab":{"a":0,"b":1},"merges":[]},"added_tokens":[]}',
        random,
      ),
      'model/tokenizer_config.json': mutateJson(tokenizer, random),
      ...(random.below(3) === 0 ? { 'model/model.safetensors.index.json': mutateJson(index, random) } : {}),
      ...(random.below(3) === 0 ? {} : { 'model/model.safetensors': weights }),
    }),
    read: async (files) => {
      await readTokenizerFolder(files, 'model')
      await inspect('model', environment(files))
    },
  }
}

export const targets: Readonly<Record<string, () => Target>> = {
  onnx: onnxTarget,
  safetensors: safetensorsTarget,
  torch: torchTarget,
  adapter: adapterTarget,
  'onnx-adapter': onnxAdapterTarget,
  gguf: ggufTarget,
  folder: folderTarget,
}
