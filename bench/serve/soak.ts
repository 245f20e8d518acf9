/**
 * @file Adapters that are loaded, replaced and unloaded while they are asked for: each answers with its own text, no request is lost, and
 * memory stays what it was.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { addLora, generate, loadAdapter, loadModel, Random, type LoraOptions } from '../../src/index.js'
import { Engine, UnknownAdapterError, type TextRequest } from '../../src/serve/index.js'

export interface Soak {
  readonly loads: number
  readonly answers: number
  readonly aborted: number
  /** Answers that were not their adapter's own, and requests that ended in an error. */
  readonly wrong: readonly string[]
  /** Resident bytes after each tenth of the loads. */
  readonly resident: readonly number[]
}

const base = fileURLToPath(new URL('../../demo/base', import.meta.url))

const kinds: readonly LoraOptions[] = [
  { r: 2, targetModules: ['q_proj', 'v_proj'] },
  { r: 6, alpha: 3, targetModules: 'all-linear' },
  { r: 4, useRslora: true, targetModules: ['down_proj'] },
  { r: 3, useDora: true, targetModules: ['k_proj', 'up_proj'] },
  { r: 2, targetModules: ['embed_tokens', 'o_proj'] },
  { r: 2, targetModules: ['q_proj'], modulesToSave: ['lm_head'] },
]

/** @param loads of adapters, and as many unloads */
export async function soakServe(loads: number): Promise<Soak> {
  const model = await loadModel(base, { threads: 1 })
  const home = await mkdtemp(join(tmpdir(), 'lowrank-soak-'))
  try {
    const prompt = [7, 3, 5]
    const options = { maxNewTokens: 6, ignoreEos: true }
    const signatures: { readonly folder: string; readonly ids: string }[] = []
    for (const [i, kind] of kinds.entries()) {
      const adapter = await addLora(model, { ...kind, seed: i })
      const random = Random.derive(i, 'soak')
      const { data } = adapter.parameters
      for (let k = 0; k < data.length; k++) data[k]! += random.normal(0, 0.1)
      const folder = join(home, String(i))
      await adapter.save(folder)
      signatures.push({ folder, ids: (await generate(adapter, { ...options, inputIds: prompt })).ids.join() })
    }
    if (new Set(signatures.map(({ ids }) => ids)).size < kinds.length) throw new Error('two adapters write the same text')
    const engine = new Engine(model, { maxRows: 12, maxLoras: 5, maxCpuLoras: 6, maxQueue: 1000, loadAdapter })
    const random = Random.derive(0, 'soak')
    const [wrong, resident]: [string[], number[]] = [[], []]
    let [done, answers, aborted] = [0, 0, 0]
    const ask = async (name: string, expected: string): Promise<void> => {
      const isAborted = random.integer(5) === 0
      const abort = new AbortController()
      const request: TextRequest = { prompt, adapters: [{ name, scale: 1 }], options, signal: abort.signal }
      const ids: number[] = []
      try {
        for await (const { id } of engine.start(request)) {
          if (id !== undefined) ids.push(id)
          if (isAborted && ids.length === 3) abort.abort()
        }
        if (!isAborted && ids.join() !== expected) wrong.push(`${name}: ${ids.join()} in place of ${expected}`)
        if (isAborted) aborted++
        else answers++
      } catch (error) {
        wrong.push(`${name}: ${String(error)}`)
      }
    }
    const some = (): (typeof signatures)[number] => signatures[random.integer(signatures.length)]!
    const life = async (name: string): Promise<void> => {
      while (done < loads) {
        const [first, second] = [some(), some()]
        await engine.adapters.load(name, first.folder)
        const asked = [ask(name, first.ids), ask(name, first.ids)]
        await engine.adapters.load(name, second.folder, { inPlace: true })
        asked.push(ask(name, second.ids), ask(name, second.ids))
        const gone = engine.adapters.unload(name)
        try {
          engine.start({ prompt, adapters: [{ name, scale: 1 }], options })
          wrong.push(`${name} was found after it was unloaded`)
        } catch (error) {
          if (!(error instanceof UnknownAdapterError)) wrong.push(`${name}: ${String(error)}`)
        }
        await Promise.all([...asked, gone])
        done += 2
        if (done >= ((resident.length + 1) * loads) / 10) resident.push(process.memoryUsage().rss)
      }
    }
    await Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map(life))
    return { loads: done, answers, aborted, wrong, resident }
  } finally {
    await rm(home, { recursive: true, force: true })
  }
}
