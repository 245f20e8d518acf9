/** @file lowrank chat: what is said and answered is what the library writes; commands change who answers; Ctrl-C, pipes. */
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { describe, expect, it, vi } from 'vitest'
import { addLora } from '../../src/adapter/adapter.js'
import { Conversation } from '../../src/cli/chat/conversation.js'
import { chatLoop, type Lines } from '../../src/cli/chat/loop.js'
import { TypedLines } from '../../src/cli/chat/typed-lines.js'
import { terminal } from '../../src/cli/terminal.js'
import { generate } from '../../src/generate/generate.js'
import { FolderModel } from '../../src/model/folder-model.js'
import { Engine } from '../../src/serve/index.js'
import { writeChatModel } from '../support/chat-model.js'
import { testEnvironment } from '../support/training.js'
import { runCli, temporaryFolder } from './run-cli.js'

const folder = temporaryFolder()
const path = writeChatModel(join(folder, 'model'))
const red = join(folder, 'red')
const opened = (async () => {
  const model = await FolderModel.open(path, testEnvironment())
  const adapter = await addLora(model, { r: 2, alpha: 64, initLoraWeights: false, seed: 1 })
  await adapter.save(red)
  const engine = new Engine(model)
  await engine.adapters.load('red', red)
  return { model, adapter, engine, tokenizer: (await model.tokenizer())! }
})()
const options = { maxNewTokens: 6, temperature: 0, ignoreEos: true }

/** Lines of a list. */
const linesOf = (...texts: readonly string[]): Lines => {
  const left = [...texts]
  return { next: () => Promise.resolve(left.shift()), onStop: () => () => undefined }
}

/** What a conversation prints. */
async function talk(lines: Lines, given: { readonly json?: boolean; readonly system?: string } = {}) {
  const { engine, tokenizer } = await opened
  let [stdout, stderr] = ['', '']
  const output = terminal({ write: (text) => (stdout += text) }, { write: (text) => (stderr += text) }, {}, given.json === true)
  await chatLoop(new Conversation({ engine, tokenizer, options, system: given.system, adapter: undefined }), lines, output)
  return { stdout, stderr, answers: stdout.split('\n').filter((line) => line !== '') }
}

type Turn = { readonly role: string; readonly content: string }
const expected = async (messages: readonly Turn[], subject?: 'red'): Promise<string> => {
  const { model, adapter } = await opened
  return (await generate(subject === undefined ? model : adapter, { messages, ...options })).text
}
const user = (content: string): Turn => ({ role: 'user', content })

describe('a conversation', () => {
  it('is answered as generate answers its dialogue, which grows', async () => {
    const { answers } = await talk(linesOf('Hi', '  ', 'And?'), { json: true, system: 'Be.' })
    const said = answers.map((line) => JSON.parse(line) as { content: string; finishReason: string; adapter: unknown })
    const first = await expected([{ role: 'system', content: 'Be.' }, user('Hi')])
    const second = await expected([
      { role: 'system', content: 'Be.' },
      user('Hi'),
      { role: 'assistant', content: first },
      user('And?'),
    ])
    expect(said).toEqual(
      [first, second].map((content) => ({ role: 'assistant', content, adapter: null, finishReason: 'length' })),
    )
  })

  it('changes adapters and their scale, the system prompt, and begins anew', async () => {
    const lines = [
      '/adapter red',
      'Hi',
      '/scale 0',
      '/reset',
      'Hi',
      '/scale 1',
      '/adapter none',
      '/system Be.',
      'Hi',
      '/adapter',
      '//x',
      '/quit',
      'never',
    ]
    const { answers, stderr } = await talk(linesOf(...lines), { json: true })
    const said = answers.map((line) => JSON.parse(line) as { content: string; adapter: string | null })
    expect(said.map(({ adapter }) => adapter)).toEqual(['red', 'red', null, null])
    const plain = await expected([user('Hi')])
    expect(said[0]!.content).toBe(await expected([user('Hi')], 'red'))
    expect(said[0]!.content).not.toBe(plain)
    expect(said[1]!.content).toBe(plain)
    const system = { role: 'system', content: 'Be.' }
    const third = await expected([system, user('Hi')])
    expect(said[2]!.content).toBe(third)
    expect(said[3]!.content).toBe(await expected([system, user('Hi'), { role: 'assistant', content: third }, user('/x')]))
    expect(stderr).toContain('* none\n  red\n')
  })

  it('says what is no command, no adapter, no number, and what does not fit, and goes on', async () => {
    const { stderr, answers } = await talk(linesOf('/adaptr x', '/adapter blue', '/scale x', '/help', 'x'.repeat(400), 'Hi'), {
      json: true,
    })
    expect(stderr).toContain('/adaptr is no command; did you mean /adapter? /help lists them')
    expect(stderr).toContain('there is no adapter blue; there is red')
    expect(stderr).toContain('/scale takes a number, such as 0.5; it is 1')
    expect(stderr).toContain('/system TEXT')
    expect(stderr).toMatch(/error: .*256 positions/)
    expect(answers).toHaveLength(1)
    expect((JSON.parse(answers[0]!) as { content: string }).content).toBe(await expected([user('Hi')]))
  })
})

describe('a terminal', () => {
  const typed = () => {
    const input = Object.assign(new PassThrough(), { isTTY: true, setRawMode: () => undefined })
    const shown = new PassThrough()
    const onFirst = vi.fn()
    return { input, shown, onFirst, lines: new TypedLines({ input, output: shown }, onFirst) }
  }

  it('Ctrl-C stops an answer, which is kept up to there; twice it ends', async () => {
    const { input, lines, onFirst } = typed()
    const { engine, tokenizer } = await opened
    const conversation = new Conversation({
      engine,
      tokenizer,
      options: { ...options, maxNewTokens: 200 },
      system: undefined,
      adapter: undefined,
    })
    let [stdout, stderr] = ['', '']
    const written = (text: string): void => {
      if (stdout === '') input.write('\u0003')
      stdout += text
    }
    const output = terminal({ write: written }, { write: (text) => (stderr += text) }, {}, false)
    const done = chatLoop(conversation, lines, output)
    input.write('Hi\r')
    await vi.waitFor(() => expect(stderr).toContain('(stopped)'))
    expect(engine.running).toBe(0)
    expect(stdout.length).toBeGreaterThan(1)
    input.write('\u0003')
    await vi.waitFor(() => expect(onFirst).toHaveBeenCalledTimes(1))
    input.write('\u0003')
    await done
  })

  it('one Ctrl-C before a line ends nothing', async () => {
    const { input, lines, onFirst } = typed()
    const first = lines.next('> ')
    input.write('\u0003')
    input.write('a\r')
    expect(await first).toBe('a')
    const second = lines.next('> ')
    input.write('\u0003')
    input.write('b\r')
    expect([await second, onFirst.mock.calls.length]).toEqual(['b', 2])
    lines.close()
    expect(await lines.next('> ')).toBeUndefined()
  })

  it('through a pipe lines come one by one, with no prompt', async () => {
    const [input, shown] = [new PassThrough(), new PassThrough()]
    const lines = new TypedLines({ input, output: shown }, () => undefined)
    input.end('a\nb\n\nc')
    const read = [
      await lines.next('> '),
      await lines.next('> '),
      await lines.next('> '),
      await lines.next('> '),
      await lines.next('> '),
    ]
    expect(read).toEqual(['a', 'b', '', 'c', undefined])
    expect(shown.read()).toBeNull()
  })
})

it('the command says what is wrong before it reads a line', async () => {
  const twice = await runCli(['chat', '--model', path, '--adapter', `a=${red}`, `a=${red}`])
  expect([twice.code, twice.stderr]).toEqual([2, expect.stringContaining('--adapter names a twice.')])
  const stories = await runCli(['chat', '--model', 'test/fixtures/golden/peft/llama/model'])
  expect([stories.code, stories.stderr]).toEqual([1, expect.stringContaining('has no chat template, so nobody can talk with it')])
})
