/** @file Texts on the way: what generation gives with the adapter of that step, in events, log and trackers; training is as without. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createAdapter, type Adapter } from '../../src/adapter/adapter.js'
import { generate } from '../../src/generate/generate.js'
import { FolderModel } from '../../src/model/folder-model.js'
import type { SamplesEvent, TrainEvent } from '../../src/train/events.js'
import { parseEvents } from '../../src/train/log.js'
import type { TrainOptions } from '../../src/train/options.js'
import { fullTrainee } from '../../src/train/trainee.js'
import { train } from '../../src/train/trainer.js'
import { writeChatModel } from '../support/chat-model.js'
import { inProcesses } from '../support/processes.js'
import { runTraining, temporaryFolder, testEnvironment, tinyModel, writeRows } from '../support/training.js'

const folder = temporaryFolder()
mkdirSync(join(folder, 'chat'))
writeChatModel(join(folder, 'chat'))
const data = writeRows(
  join(folder, 'rows.jsonl'),
  ['red', 'green', 'blue', 'white', 'black'].map((color) => ({ prompt: `The ${color} `, completion: `${color} house.` })),
)
const lines = join(folder, 'prompts.txt')
writeFileSync(lines, 'The red \r\n\n  The end\n')
const dialogue = [
  { role: 'user', content: 'Hello' },
  { role: 'assistant', content: 'The answer that is left out' },
]
const mixed = writeRows(join(folder, 'prompts.jsonl'), [{ prompt: 'The red ', completion: 'not read' }, { messages: dialogue }])

const model = await FolderModel.open(join(folder, 'chat'), testEnvironment())
const fresh = (): Adapter => createAdapter(model, { r: 2, targetModules: 'all-linear', loraDropout: 0.1, seed: 3 })
const options: TrainOptions = { data, batchSize: 2, steps: 5, learningRate: 1e-1, seed: 7 }
const sampled = (events: readonly TrainEvent[]): SamplesEvent[] => events.filter((each) => each.event === 'samples')
const texts = (events: readonly TrainEvent[]): [number, string[]][] =>
  sampled(events).map(({ step, samples }) => [step, samples.map(({ text }) => text)])

/** What generation gives for the two prompts of `mixed`, by an adapter as it is. */
const expected = async (adapter: Adapter): Promise<string[]> => [
  (await generate(adapter, { prompt: 'The red ', maxNewTokens: 8 })).text,
  (await generate(adapter, { messages: dialogue.slice(0, 1), maxNewTokens: 8 })).text,
]

describe('samples', () => {
  it('are what generation gives with the adapter of that step, and change nothing of the training', async () => {
    const plain = await runTraining(fresh(), options)
    const out = join(folder, 'out')
    const adapter = fresh()
    const begin = await expected(adapter)
    const watched: TrainOptions = {
      ...options,
      out,
      samplePrompts: mixed,
      sampleSteps: 2,
      sampleTokens: 8,
      reportTo: 'tensorboard',
    }
    const { events, steps } = await runTraining(adapter, watched)
    expect(steps.map(({ loss, gradNorm }) => [loss, gradNorm])).toEqual(plain.steps.map(({ loss, gradNorm }) => [loss, gradNorm]))
    expect(sampled(events).map(({ step }) => step)).toEqual([2, 4, 5])
    expect(sampled(events)[0]!.samples.map(({ prompt }) => prompt)).toEqual(['The red ', 'user: Hello'])
    const told = texts(events)
    for (const [step, now] of told) {
      const until = fresh()
      await runTraining(until, { ...options, steps: step })
      expect(now).toEqual(await expected(until))
    }
    expect(told.at(-1)![1]).not.toEqual(begin)
    expect(texts(parseEvents(readFileSync(join(out, 'log.jsonl'), 'utf8')))).toEqual(told)
    const [file] = readdirSync(join(out, 'runs'))
    const written = readFileSync(join(out, 'runs', file!), 'utf8')
    expect(written).toContain('samples/1/text_summary')
    expect(written).toContain('```\nuser: Hello\n```\n\n```\n')
  })

  it('come at the end of each epoch by default, after the last step, and at first with evalAtStart', async () => {
    const adapter = fresh()
    const begin = (await generate(adapter, { prompt: '  The end', maxNewTokens: 4 })).text
    const { events } = await runTraining(adapter, { ...options, steps: 7, samplePrompts: lines, sampleTokens: 4, evalAtStart: true, evalData: data }) // prettier-ignore
    expect(sampled(events).map(({ step }) => step)).toEqual([0, 3, 6, 7])
    expect(sampled(events)[0]!.samples.map(({ prompt }) => prompt)).toEqual(['The red ', '  The end'])
    expect(sampled(events)[0]!.samples[1]!.text).toBe(begin)
  })

  it('of a run that goes on are those of one that was not left', async () => {
    const watched: TrainOptions = { ...options, samplePrompts: lines, sampleSteps: 1, sampleTokens: 6 }
    const whole = texts((await runTraining(fresh(), watched)).events)
    const out = join(folder, 'left')
    for await (const event of train(fresh(), { ...watched, out })) if (event.event === 'samples' && event.step === 3) break
    await runTraining(fresh(), { ...watched, out, resume: true })
    expect(texts(parseEvents(readFileSync(join(out, 'log.jsonl'), 'utf8')))).toEqual(whole)
  })

  it('of several processes the first writes', async () => {
    const events = await inProcesses(2, async (communicator) => {
      const each = fresh()
      return (await runTraining(each, { ...options, batchSize: 1, communicator, samplePrompts: lines, sampleTokens: 4 })).events
    })
    expect(events.map((all) => sampled(all).map(({ step }) => step))).toEqual([[3, 5], []])
  })

  it.each([
    ['an empty file', '', 'empty.txt', 'holds no prompt'],
    [
      'a row without one',
      '{"text":"a"}\n',
      'text.jsonl',
      'a prompt to sample needs a field "prompt" or "messages"; found the fields "text"',
    ],
    ['a prompt that is no text', '{"prompt":1}\n', 'number.jsonl', '"prompt" must be text, found the number 1'],
    ['a prompt that fills the model', `${'word '.repeat(3000)}\n`, 'long.txt', 'shorten it: word word'],
  ])('%s is refused before the first step', async (_, content, name, message) => {
    const samplePrompts = join(folder, name)
    writeFileSync(samplePrompts, content)
    await expect(runTraining(fresh(), { ...options, samplePrompts })).rejects.toThrow(message)
  })

  it('are refused where there are none', async () => {
    await expect(runTraining(await fullTrainee(model), { ...options, samplePrompts: lines })).rejects.toThrow('is for adapters')
    await expect(runTraining(fresh(), { ...options, sampleSteps: 2 })).rejects.toThrow('sampleSteps needs samplePrompts')
    const wordless = createAdapter(tinyModel(), { r: 2, targetModules: 'all-linear' })
    await expect(runTraining(wordless, { ...options, samplePrompts: lines })).rejects.toThrow('a text cannot be continued')
  })
})
