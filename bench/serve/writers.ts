/** @file What can write the texts of many clients: the engine of `lowrank serve`, and llama.cpp by way of node-llama-cpp. */
import { existsSync } from 'node:fs'
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { addLora, convert, loadAdapter, loadModel, Random } from '../../src/index.js'
import { Engine } from '../../src/serve/index.js'
import { ggufModel } from '../../test/support/gguf-model.js'
import type { Writer } from './load.js'

/** Which adapters the clients have: none, all of them the same, or each another. */
export type Adapters = 'none' | 'one' | 'each'

export interface WriterOptions {
  /** Folder of the model. */
  readonly model: string
  readonly threads: number
  readonly clients: number
  readonly adapters: Adapters
}

/** Adapters that differ; with more clients than these they begin again. */
const DIFFERENT = 8

/** An adapter of rank 8 on all linear layers with random numbers, written once beside the model. @returns its folder */
async function adapterOf(modelFolder: string, index: number): Promise<string> {
  const folder = `${modelFolder}-adapter-${index}`
  if (existsSync(join(folder, 'adapter_config.json'))) return folder
  const adapter = await addLora(await loadModel(modelFolder), { r: 8, alpha: 16, targetModules: 'all-linear', seed: index })
  const random = Random.derive(index, 'bench')
  const { data } = adapter.parameters
  for (let i = 0; i < data.length; i++) data[i] = random.uniform(-0.02, 0.02)
  await adapter.save(folder)
  return folder
}

export async function lowrankWriter({ model: folder, threads, clients, adapters }: WriterOptions): Promise<Writer> {
  const model = await loadModel(folder, { threads })
  const engine = new Engine(model, { maxRows: clients, loadAdapter })
  const count = { none: 0, one: 1, each: DIFFERENT }[adapters]
  for (let i = 0; i < count; i++) await engine.adapters.load(`adapter-${i}`, await adapterOf(folder, i))
  return {
    async write(client, prompt, tokens, onToken) {
      const used = count === 0 ? [] : [{ name: `adapter-${client % count}`, scale: 1 }]
      const text = engine.start({ prompt, adapters: used, options: { maxNewTokens: tokens, ignoreEos: true } })
      for await (const { id } of text) if (id !== undefined) onToken()
    },
  }
}

/** @throws Error where the clients shall have adapters of their own, which a context of llama.cpp cannot give them */
export async function llamaWriter({ model: folder, threads, clients, adapters }: WriterOptions): Promise<Writer> {
  if (adapters === 'each') throw new Error('the sequences of a context of llama.cpp share their adapters')
  const { getLlama, LlamaLogLevel } = await import('node-llama-cpp')
  const llama = await getLlama({ gpu: false, build: 'never', logLevel: LlamaLogLevel.error, maxThreads: threads })
  const file = `${folder}.gguf`
  if (!existsSync(file)) {
    await writeFile(`${file}.part`, await ggufModel(folder))
    await rename(`${file}.part`, file)
  }
  const model = await llama.loadModel({ modelPath: file, gpuLayers: 0 })
  const lora = `${folder}-adapter-0.gguf`
  if (adapters === 'one' && !existsSync(lora)) await convert(await adapterOf(folder, 0), lora, { model: await loadModel(folder) })
  const context = await model.createContext({
    ...{ sequences: clients, contextSize: 256, threads, batchSize: 512 },
    ...(adapters === 'one' && { lora }),
  })
  const sequences = Array.from({ length: clients }, () => context.getSequence())
  return {
    async write(client, prompt, tokens, onToken) {
      const sequence = sequences[client]!
      await sequence.clearHistory()
      let count = 0
      for await (const _ of sequence.evaluate([...prompt] as never, { temperature: 0, yieldEogToken: true })) {
        onToken()
        if (++count === tokens) break
      }
    },
  }
}
