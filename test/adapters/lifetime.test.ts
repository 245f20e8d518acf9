/** @file What runs at the same time, and what of it stays in memory: the adapter of a call, shared sessions, dispose. */
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createAdapter, addLora, loadAdapter, type Adapter, type LoraOptions } from '../../src/adapter/adapter.js'
import { AdapterSet } from '../../src/adapter/adapter-set.js'
import type { Environment } from '../../src/environment.js'
import { combineAdapters } from '../../src/adapter/combine.js'
import { exportOnnx } from '../../src/adapter/export.js'
import { extractLora } from '../../src/adapter/extract.js'
import { FolderModel } from '../../src/model/folder-model.js'
import { logits } from '../../src/adapter/forward.js'
import { merge } from '../../src/adapter/merge.js'
import type { Model } from '../../src/model/model.js'
import { sessionsOf } from '../../src/model/session-pool.js'
import { generateBatch } from '../../src/generate/generate-batch.js'
import { generate, generateStream } from '../../src/generate/generate.js'
import { ConfigReader, type Json } from '../../src/models/config-reader.js'
import { randomWeights } from '../../src/models/random.js'
import { loadModel } from '../../src/index.js'
import { evaluate } from '../../src/train/evaluate.js'
import type { TrainEvent } from '../../src/train/events.js'
import { train } from '../../src/train/trainer.js'
import { Random } from '../../src/util/rng.js'
import {
  llamaConfig,
  randomRows,
  temporaryFolder,
  testEnvironment,
  tinyModel,
  writeModel,
  writeRows,
} from '../support/training.js'

const ids = [3, 1, 4, 1, 5]

/** An environment that counts the sessions that are alive. */
function counting(): { environment: Environment; alive: () => number; made: () => number } {
  const environment = testEnvironment()
  const { runtime } = environment
  let [alive, made] = [0, 0]
  const createSession: typeof runtime.createSession = async (graph, options) => {
    const session = await runtime.createSession(graph, options)
    alive++
    made++
    return {
      run: (feeds) => session.run(feeds),
      release: () => {
        alive--
        return session.release()
      },
    }
  }
  return { environment: { ...environment, runtime: { ...runtime, createSession } }, alive: () => alive, made: () => made }
}

function tiny(environment = testEnvironment()): FolderModel {
  const config = new ConfigReader(llamaConfig as Record<string, Json>, 'tiny')
  return FolderModel.fromWeights(environment, config, randomWeights(config, 1))
}

async function randomAdapter(model: Model, options: LoraOptions, seed: number): Promise<Adapter> {
  const adapter = await addLora(model, { r: 2, ...options, seed })
  const random = new Random(seed)
  adapter.parameters.data.forEach((_, i, data) => (data[i] = random.normal(0, 0.3)))
  return adapter
}

const own = async (adapter: Adapter): Promise<number[]> => [...(await logits(adapter, [ids]))[0]!.data] as number[]
const close = (a: readonly number[], b: readonly number[]): void => {
  expect(a.length).toBe(b.length)
  expect(Math.max(...a.map((v, i) => Math.abs(v - b[i]!)))).toBeLessThan(1e-4)
}

describe('a call has the adapter of its beginning', () => {
  const options = { inputIds: ids, maxNewTokens: 8 }

  it('whatever is switched, scaled or changed while it runs', async () => {
    const model = tiny()
    const [one, two] = [await randomAdapter(model, {}, 1), await randomAdapter(model, {}, 2)]
    const [a, b] = [(await generate(one, options)).ids, (await generate(two, options)).ids]
    expect(a).not.toEqual(b)
    const set = new AdapterSet(model)
    await set.add('one', one)
    await set.add('two', two)
    const request = { inputIds: [...ids], maxNewTokens: 8 }
    set.setAdapter('one')
    const first = generate(set, request)
    const stream = generateStream(set, request)
    const batchOptions = { maxNewTokens: 8 }
    const prompts = [{ inputIds: [...ids] }]
    const batch = generateBatch(set, prompts, batchOptions)
    const all = logits(set, [ids])
    set.setAdapter('two')
    set.setScale('one', 0)
    const second = generate(set, request)
    request.inputIds.length = 1
    request.maxNewTokens = 1
    prompts[0]!.inputIds.length = 1
    batchOptions.maxNewTokens = 1
    set.remove('one')
    set.disableAdapter()
    expect((await first).ids).toEqual(a)
    expect((await batch)[0]!.ids).toEqual(a)
    close([...(await all)[0]!.data] as number[], await own(one))
    expect((await second).ids).toEqual(b)
    const streamed: number[] = []
    for await (const { id } of stream) if (id !== undefined) streamed.push(id)
    expect(streamed).toEqual(a)
  })

  it('in evaluation, merging, exporting and saving too', async () => {
    const folder = temporaryFolder()
    const path = join(folder, 'model')
    mkdirSync(path)
    writeModel(path, llamaConfig as Record<string, Json>)
    const model = (await loadModel(path, { threads: 1 })) as FolderModel
    const data = writeRows(join(folder, 'rows.jsonl'), randomRows(6, 23))
    const adapter = await randomAdapter(model, {}, 1)
    const set = new AdapterSet(model)
    await set.add('a', adapter)
    set.setAdapter('a')
    const [before, base] = [await evaluate(adapter, { data }), await evaluate(model, { data })]
    expect(before.loss).not.toBeCloseTo(base.loss, 4)
    const wanted = { data, batchSize: 2 }
    const running = [evaluate(adapter, wanted), evaluate(set, wanted)]
    const [merged, exported, saved] = [join(folder, 'merged'), join(folder, 'exported'), join(folder, 'saved')]
    const writing = [merge(adapter).save(merged), exportOnnx(adapter, exported), adapter.save(saved)]
    adapter.parameters.data.fill(0)
    set.disableAdapter()
    wanted.batchSize = 0
    for (const evaluation of running) expect((await evaluation).loss).toBeCloseTo(before.loss, 5)
    await Promise.all(writing)
    expect((await evaluate(await loadModel(merged), { data })).loss).toBeCloseTo(before.loss, 4)
    expect((await evaluate(await loadAdapter(model, saved), { data })).loss).toBeCloseTo(before.loss, 5)
    expect(
      (await evaluate(await loadModel(join(exported, 'onnx/model.onnx'), { task: 'causal-lm' }), { data })).loss,
    ).toBeCloseTo(before.loss, 4)
  })

  it('refuses two of one name at once', async () => {
    const model = tiny()
    const [one, two] = [await randomAdapter(model, {}, 1), await randomAdapter(model, {}, 2)]
    const set = new AdapterSet(model)
    const results = await Promise.allSettled([set.add('a', one), set.add('a', two), set.load('a', 'nowhere')])
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected'])
    expect(String((results[1] as PromiseRejectedResult).reason)).toMatch(/has an adapter "a" already, which is being added/)
    expect(set.adapter('a')).toBe(one)
    const replacing = set.replace('a', two)
    await expect(set.replace('a', one)).rejects.toThrow(/is being replaced already/)
    await replacing
    const late = set.replace('a', one)
    set.remove('a')
    await expect(late).rejects.toThrow(/has no adapter "a"/)
    expect(set.names).toEqual([])
    // What failed keeps no name.
    await expect(set.load('a', 'nowhere')).rejects.toThrow()
    await set.add('a', one)
  })
})

describe('sessions', () => {
  const targets = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'up_proj', 'gate_proj', 'down_proj', 'lm_head']

  it('are shared by adapters of different layers, which answer as they would alone', async () => {
    const { environment, alive } = counting()
    const model = tiny(environment)
    const adapters: Adapter[] = []
    const alone: { ids: readonly number[]; logits: number[] }[] = []
    for (let i = 0; i < 12; i++) {
      const options = { targetModules: [targets[i % 8]!, targets[(i * 3 + 1) % 8]!], r: 1 + (i % 3) }
      adapters.push(await randomAdapter(model, options, i))
      const other = await randomAdapter(tiny(), options, i)
      alone.push({ ids: (await generate(other, { inputIds: ids, maxNewTokens: 6 })).ids, logits: await own(other) })
    }
    // One after the other, in any order and all at once; never more than one session for whole rows and one for generation.
    for (const [i, adapter] of adapters.entries()) {
      expect((await generate(adapter, { inputIds: ids, maxNewTokens: 6 })).ids).toEqual(alone[i]!.ids)
      close(await own(adapter), alone[i]!.logits)
      expect(alive()).toBeLessThanOrEqual(2)
    }
    const together = await Promise.all(adapters.map((adapter) => generate(adapter, { inputIds: ids, maxNewTokens: 6 })))
    together.forEach((generation, i) => expect(generation.ids).toEqual(alone[i]!.ids))
    close([...(await logits(model, [ids]))[0]!.data] as number[], [...(await logits(tiny(), [ids]))[0]!.data] as number[])
    expect(alive()).toBe(2)
    expect(sessionsOf(model).size).toBe(2)
  })

  it('that many streams use while others need new layers are exchanged under them', async () => {
    const { environment, alive } = counting()
    const model = tiny(environment)
    const one = await randomAdapter(model, { targetModules: ['q_proj'] }, 1)
    const whole = (await generate(one, { inputIds: ids, maxNewTokens: 10 })).ids
    const stream = generateStream(one, { inputIds: ids, maxNewTokens: 10 })
    const got: number[] = []
    for (let i = 0; ; i++) {
      const { value, done } = await stream.next()
      if (done === true) break
      if (value.id !== undefined) got.push(value.id)
      if (i < 6)
        await generate(await randomAdapter(model, { targetModules: [targets[i + 1]!] }, i), { inputIds: ids, maxNewTokens: 2 })
    }
    expect(got).toEqual(whole)
    expect(alive()).toBe(1)
  })

  it('of adapters that cannot share one are few', async () => {
    const { environment, alive } = counting()
    const model = tiny(environment)
    for (let i = 0; i < 8; i++) {
      const adapter = await randomAdapter(
        model,
        { targetModules: [targets[i]!], bias: 'none', useDora: targets[i] !== 'lm_head' },
        i,
      )
      await own(adapter)
    }
    expect(alive()).toBeLessThanOrEqual(4)
  })

  it('stay flat over many cycles of load, generate and dispose', async () => {
    const { environment, alive, made } = counting()
    for (let i = 0; i < 150; i++) {
      await using model = tiny(environment)
      const set = new AdapterSet(model)
      await set.add('a', await randomAdapter(model, { targetModules: [targets[i % 7]!] }, i))
      set.setAdapter('a')
      await generate(set, { inputIds: ids, maxNewTokens: 2 })
      if (i % 10 === 0) await logits(set, [ids])
      await set.dispose()
    }
    expect(made()).toBeGreaterThanOrEqual(150)
    expect(alive()).toBe(0)
  })
})

describe('dispose', () => {
  it('lets what runs end, and is the end of it', async () => {
    const { environment, alive } = counting()
    const model = tiny(environment)
    const adapter = await randomAdapter(model, {}, 1)
    const set = new AdapterSet(model)
    await set.add('a', adapter)
    set.setAdapter('a')
    const expected = await own(adapter)
    const running = logits(set, [ids])
    const done = model.dispose()
    expect(model.disposed).toBe(true)
    expect(model.dispose()).toBe(done)
    close([...(await running)[0]!.data] as number[], expected)
    await done
    expect(alive()).toBe(0)
    const message = /the model tiny was disposed and cannot be used any more; load it again/
    await expect(logits(model, [ids])).rejects.toThrow(message)
    await expect(logits(set, [ids])).rejects.toThrow(message)
    await expect(generate(adapter, { inputIds: ids })).rejects.toThrow(message)
    const training = train(adapter, { data: writeRows(join(temporaryFolder(), 'r.jsonl'), randomRows(2, 23)), steps: 1 })
    await expect(training.next()).rejects.toThrow(message)
    expect(alive()).toBe(0)
  })

  it('of an adapter or a set leaves the model as it is', async () => {
    const model = tiny()
    const [one, two] = [await randomAdapter(model, {}, 1), await randomAdapter(model, {}, 2)]
    const set = new AdapterSet(model)
    await set.add('one', one)
    set.setAdapter('one')
    const [expected, others] = [await own(one), await own(two)]
    await one.dispose()
    await expect(logits(one, [ids])).rejects.toThrow(/the adapter was disposed/)
    await expect(one.save('nowhere')).rejects.toThrow(/the adapter was disposed/)
    // A set has its own numbers.
    close([...(await logits(set, [ids]))[0]!.data] as number[], expected)
    set[Symbol.dispose]()
    expect(set.disposed).toBe(true)
    await expect(logits(set, [ids])).rejects.toThrow(/the set of adapters was disposed/)
    await expect(set.add('two', two)).rejects.toThrow(/the set of adapters was disposed/)
    expect(() => set.setAdapter('one')).toThrow(/the set of adapters was disposed/)
    close(await own(two), others)
  })

  it('is told of by whatever is made of a model, and what was learned can still be saved', async () => {
    const folder = temporaryFolder()
    const path = join(folder, 'model')
    mkdirSync(path)
    writeModel(path, llamaConfig as Record<string, Json>)
    const model = (await loadModel(path, { threads: 1 })) as FolderModel
    const [adapter, gone] = [await randomAdapter(model, {}, 1), await randomAdapter(model, {}, 2)]
    const set = new AdapterSet(model)
    const out = join(folder, 'out')
    await gone.dispose()
    const message = 'was disposed and cannot be used any more; load it again'
    const ofAdapter: (() => unknown)[] = [
      () => merge(gone).save(out),
      () => gone.save(out),
      () => set.add('gone', gone),
      () => exportOnnx(gone, out),
    ]
    for (const use of ofAdapter) await expect(Promise.resolve().then(use)).rejects.toThrow(`the adapter ${message}`)
    await model.dispose()
    const uses: (() => unknown)[] = [
      () => addLora(model),
      () => createAdapter(model),
      () => loadAdapter(model, 'nowhere'),
      () => new AdapterSet(model),
      () => set.add('a', adapter),
      () => set.load('a', 'nowhere'),
      () => merge(adapter).save(out),
      () => exportOnnx(model, out),
      () => combineAdapters(model, [{ adapter, weight: 1 }]),
      () => extractLora(model, model, { r: 1 }),
      () => model.withHead({ task: 'sequence-classification' }),
    ]
    for (const use of uses) await expect(Promise.resolve().then(use)).rejects.toThrow(`the model ${path} ${message}`)
    expect(existsSync(out)).toBe(false)
    await adapter.save(out)
    const again = await loadAdapter(await loadModel(path, { threads: 1 }), out)
    expect(again.parameters.data).toEqual(adapter.parameters.data)
  })

  it.each(['the adapter', 'the model'] as const)('of %s ends a run that stands still, with a checkpoint', async (what) => {
    const folder = temporaryFolder()
    const path = join(folder, 'model')
    mkdirSync(path)
    writeModel(path, llamaConfig as Record<string, Json>)
    const { environment, alive } = counting()
    const data = writeRows(join(folder, 'rows.jsonl'), randomRows(12, 23))
    const out = join(folder, 'out')
    const options = { data, steps: 4, batchSize: 2, learningRate: 1e-2 }
    const fresh = async (): Promise<Adapter> => addLora(await FolderModel.open(path, environment), { r: 2, seed: 3 })
    const whole = await fresh()
    for await (const { event } of train(whole, options)) expect(event).not.toBe('error')

    const adapter = await fresh()
    const running = train(adapter, { ...options, out })
    for (let steps = 0; steps < 2;) if (((await running.next()).value as TrainEvent).event === 'step') steps++
    expect(alive()).toBeGreaterThan(0)
    await (what === 'the adapter' ? adapter : adapter.model).dispose()
    expect(alive()).toBe(0)
    expect(readdirSync(out)).toContain('checkpoint-2')
    expect(readFileSync(join(out, 'log.jsonl'), 'utf8')).toMatch(/"event":"done".*"reason":"aborted"/)
    await expect(running.next()).rejects.toThrow(
      `${what} was disposed while it was trained, which ended the run; what was learned until then is in the newest checkpoint in "${out}", which resume (--resume) continues`,
    )
    expect(await running.next()).toEqual({ done: true, value: undefined })
    const again = await fresh()
    for await (const { event } of train(again, { ...options, out, resume: true })) expect(event).not.toBe('error')
    expect(again.parameters.data).toEqual(whole.parameters.data)

    const nowhere = await fresh()
    const unsaved = train(nowhere, options)
    await unsaved.next()
    const waiting = unsaved.next()
    await nowhere.dispose()
    await waiting
    await expect(unsaved.next()).rejects.toThrow(/nothing was saved, for the run had no output folder \(out\)/)
    expect(alive()).toBe(0)
  })

  it.each(['the adapter', 'the model'] as const)('of %s after its run was done is no error of the run', async (what) => {
    const folder = temporaryFolder()
    const model = tinyModel()
    const adapter = await addLora(model, { r: 2 })
    const data = writeRows(join(folder, 'rows.jsonl'), randomRows(4, 23))
    const events: string[] = []
    for await (const { event } of train(adapter, { data, steps: 1, batchSize: 2 })) {
      events.push(event)
      if (event === 'done') await (what === 'the adapter' ? adapter : model).dispose()
    }
    expect(events.at(-1)).toBe('done')
  })

  it('of a model takes along those that were made of it', async () => {
    const model = await loadModel('test/fixtures/heads/llama-seq/model', { threads: 1 })
    const adapter = await loadAdapter(model, 'test/fixtures/heads/llama-seq/adapter')
    await logits(adapter, [[3, 4]])
    expect(sessionsOf(adapter.model).size).toBe(1)
    await model.dispose()
    expect(sessionsOf(adapter.model).size).toBe(0)
    await expect(logits(adapter, [[3, 4]])).rejects.toThrow(/was disposed/)
  })
})
