/**
 * @file lowrank generate: greedy text against its reference's, beams against transformers, samples by their seed; dialogues and rows
 * against the library's own answers to the text that the template makes of them.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { describe, expect, it, vi } from 'vitest'
import { addLora } from '../../src/adapter/adapter.js'
import { generate as continued } from '../../src/generate/generate.js'
import { FolderModel } from '../../src/model/folder-model.js'
import { Random } from '../../src/util/rng.js'
import { writeChatModel } from '../support/chat-model.js'
import { testEnvironment, writeRows } from '../support/training.js'
import { golden, runCli, temporaryFolder } from './run-cli.js'

const stories = resolve(import.meta.dirname, '../../../shared/models/stories260k')

describe('generate', () => {
  it('needs a tokenizer for a text prompt', async () => {
    const result = await runCli(['generate', '--model', join(golden, 'llama', 'model'), '--prompt', 'x', '--json'])
    expect([result.code, result.stdout, result.stderr]).toEqual([1, '', expect.stringMatching(/^error: .*tokenizer/)])
  })
})

describe('--json-schema', () => {
  const folder = temporaryFolder()
  const ask = (schema: string, ...more: readonly string[]) =>
    runCli([
      'generate',
      '--model',
      writeChatModel(join(folder, 'model')),
      '--json-schema',
      schema,
      '--temperature',
      '1',
      '--json',
      ...more,
    ])

  it('keeps a text, and the texts of rows, to a schema', async () => {
    const one = await ask('{"enum":["yes","no"]}', '--prompt', 'x')
    expect((JSON.parse(one.stdout) as { text: string }).text).toMatch(/^[ \n]?"(yes|no)"$/)
    const [file, data] = [join(folder, 'schema.json'), join(folder, 'rows.jsonl')]
    writeFileSync(file, '{"type":"integer","minimum":10,"maximum":99}')
    writeRows(data, [{ prompt: 'a' }, { prompt: 'b' }])
    const rows = (await ask(file, '--data', data)).stdout.trim().split('\n')
    const texts = rows.map((row) => (JSON.parse(row) as { generation: { text: string } }).generation.text)
    expect(texts).toEqual([expect.stringMatching(/^\s?[1-9]\d$/), expect.stringMatching(/^\s?[1-9]\d$/)])
  })

  it('says what is wrong with one', async () => {
    expect((await ask('{"not":{}}', '--prompt', 'x')).stderr).toContain('schema at #: the keyword "not" is not supported')
    expect((await ask('{"type"', '--prompt', 'x')).stderr).toContain('--json-schema is not valid JSON')
    expect((await ask(join(folder, 'none.json'), '--prompt', 'x')).code).toBe(1)
  })
})

describe('prompts of every kind', () => {
  const folder = temporaryFolder()
  const path = writeChatModel(join(folder, 'model'))
  const opened = FolderModel.open(path, testEnvironment())
  const chatml = (...turns: readonly (readonly [string, string])[]): string =>
    turns.map(([role, content]) => `<|im_start|>${role}\n${content}<|im_end|>\n`).join('') + '<|im_start|>assistant\n'
  const answer = async (prompt: string): Promise<object> => {
    const { text, ids, finishReason } = await continued(await opened, {
      prompt,
      maxNewTokens: 6,
      temperature: 1,
      noRepeatNgramSize: 1,
    })
    return { text, ids, finishReason }
  }
  // The small model says one token for ever, unless it may not.
  const varied = ['--temperature', '1', '--no-repeat-ngram-size', '1']
  const run = (...flags: string[]) => runCli(['generate', '--model', path, '--max-new-tokens', '6', ...varied, ...flags])
  const said = async (...flags: string[]): Promise<object> => {
    const result = await run('--json', ...flags)
    expect(result.stderr).toBe('')
    const [{ tokensPerSecond, ...rest }] = result.json() as [Record<string, unknown>]
    expect(tokensPerSecond).toBeGreaterThan(0)
    return rest
  }
  const write = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }

  it('answers dialogues, with a system prompt before them or before a text', async () => {
    const messages = [{ role: 'user', content: 'who?' }]
    const asked = await answer(chatml(['user', 'who?']))
    expect(await said('--messages', JSON.stringify(messages))).toEqual(asked)
    expect(await said('--messages', write('chat.json', JSON.stringify({ messages, id: 7 }, null, 2)))).toEqual(asked)
    const brief = await answer(chatml(['system', 'be brief'], ['user', 'who?']))
    expect(brief).not.toEqual(asked)
    expect(await said('--messages', JSON.stringify(messages), '--system', 'be brief')).toEqual(brief)
    expect(await said('--prompt', 'who?', '--system', 'be brief')).toEqual(brief)
  })

  it('reads a text from a file and from stdin, without the line break at its end', async () => {
    const expected = await answer('once\nupon')
    expect(await said('--prompt-file', write('prompt.txt', 'once\nupon\n'))).toEqual(expected)
    const stdin = vi.spyOn(process, 'stdin', 'get')
    stdin.mockReturnValue(Readable.from([Buffer.from('once\nu'), Buffer.from('pon\n')]) as unknown as typeof process.stdin)
    expect(await said('--prompt', '-')).toEqual(expected)
    stdin.mockRestore()
    expect((await run('--prompt-file', join(folder, 'prompt.txt'))).stdout).toBe(
      `once\nupon${(expected as { text: string }).text}\n`,
    )
  })

  it('names what is no prompt', async () => {
    const refusals: [flags: string[], message: string][] = [
      [[], 'lowrank generate needs a prompt: --prompt T (- for stdin)'],
      [['--prompt', 'a', '--messages', '[]'], '--prompt and --messages exclude each other.'],
      [['--messages', '{"a"'], '--messages is not valid JSON'],
      [['--messages', '{"a":1}'], '--messages, line 1: found the fields "a"; expected one of {"prompt"}'],
      [['--messages', '[{"role":"assistant","content":"me"}]'], 'ends with a turn of the assistant'],
      [['--messages', '[{"role":"system","content":"x"},{"role":"user","content":"y"}]', '--system', 'z'], 'a system prompt is given for a dialogue that begins with a system turn'], // prettier-ignore
      [['--prompt', 'a', '--out', 'x.jsonl'], '--out is for rows of --data.'],
      [['--prompt', 'a', '--adapter', 'a=x', 'b=y'], 'several adapters are for rows of --data'],
      [['--prompt', 'a', '--adapter', 'x', 'b=y'], '--adapter x needs a name beside others: --adapter NAME=x.'],
    ]
    for (const [flags, message] of refusals) {
      const { code, stdout, stderr } = await run(...flags)
      expect([code, stdout, stderr]).toEqual([expect.any(Number), '', expect.stringContaining(message)])
      expect(code).not.toBe(0)
    }
  })

  it('continues rows in batches, each with its own columns, in their order and with their own adapter', async () => {
    const model = await opened
    const saved = async (name: string, modulesToSave: string[]): Promise<string> => {
      const adapter = await addLora(model, { r: 2, targetModules: 'all-linear', seed: name.length, modulesToSave })
      const random = new Random(name.length)
      adapter.parameters.data.forEach((value, i) => (adapter.parameters.data[i] = value + random.normal(0, 1)))
      await adapter.save(join(folder, name))
      return join(folder, name)
    }
    const rows = [
      { prompt: 'one', id: 1, adapter: 'poet' },
      { messages: [{ role: 'user', content: 'a long question, longer than the others' }], id: 2 },
      { instruction: 'count', id: 3, adapter: 'lawyer', note: 'kept' },
      { prompt: 'two', id: 4, adapter: null },
      { prompt: 'two', id: 5, adapter: 'poet' },
    ]
    const data = writeRows(join(folder, 'rows.jsonl'), rows)
    const adapters = ['--adapter', `poet=${await saved('poet', [])}`, `lawyer=${await saved('lawyer', ['lm_head'])}`]
    const result = await run('--data', data, '--batch-size', '2', ...adapters)
    expect(result.stderr).toBe('')
    const answers = result.json() as { generation: { ids: number[] } }[]
    expect(answers.map(({ generation: _, ...row }) => row)).toEqual(rows)
    expect(new Set(answers.map(({ generation }) => generation.ids.join())).size).toBe(5)
    const alone = async (flag: readonly string[], ...prompt: string[]): Promise<object> => said(...prompt, ...flag)
    const [, poet, lawyer] = adapters
    const instruction = 'Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n### Instruction:\ncount\n\n### Response:' // prettier-ignore
    expect(answers.map(({ generation }) => generation)).toEqual([
      await alone(['--adapter', poet!], '--prompt', 'one'),
      await alone([], '--messages', JSON.stringify(rows[1]!.messages)),
      await alone(['--adapter', lawyer!], `--prompt=${instruction}`),
      await alone([], '--prompt', 'two'),
      await alone(['--adapter', poet!], '--prompt', 'two'),
    ])
    const out = join(folder, 'out.jsonl')
    expect((await run('--data', data, '--out', out, '--json', ...adapters)).json()).toEqual([{ out, rows: 5 }])
    expect(readFileSync(out, 'utf8')).toBe(result.stdout)
    expect((await run('--data', data, '--out', data, '--overwrite')).stderr).toContain(
      'is a file of --data, which is never replaced',
    )
  })

  it('names a bad row before the first is continued', async () => {
    const refusals: [row: object, message: string][] = [
      [{ text: 'x' }, 'bad.jsonl, line 2: found the fields "text"; expected one of'],
      [{ prompt: 1 }, 'bad.jsonl, line 2: "prompt" must be text, found the number 1'],
      [{ prompt: '' }, 'bad.jsonl, line 2: the prompt is empty'],
      [{ prompt: 'x', messages: [] }, 'bad.jsonl, line 2: "prompt" and "messages" are two prompts'],
      [{ prompt: 'x'.repeat(5000) }, 'bad.jsonl, line 2: the prompt has'],
      [{ prompt: 'x', adapter: 'poet' }, 'line 2: the row names the adapter "poet", but there are no adapters with names'],
      [{ prompt: 'x', generation: 1 }, 'line 2: the row has a field "generation" already'],
      [{ prompt: 'x', id: 2 ** 53 }, 'line 2: the number 9007199254740992 under "id" is beyond 2^53'],
    ]
    for (const [row, message] of refusals) {
      const data = writeRows(join(folder, 'bad.jsonl'), [{ prompt: 'fine' }, row])
      const { code, stdout, stderr } = await run('--data', data)
      expect([code, stdout, stderr]).toEqual([1, '', expect.stringContaining(message)])
    }
    const uneven = writeRows(join(folder, 'uneven.jsonl'), [{ prompt: 'fine' }, { prompt: 'x', id: 1 }, { prompt: '' }])
    expect((await run('--data', uneven, '--out', join(folder, 'uneven.csv'))).stderr).toContain(
      'uneven.jsonl, line 2: the row has "id", which the first row lacks',
    )
  })
})

describe.skipIf(!existsSync(stories))('generate with a real model', () => {
  // The body of a skipped suite still runs: read the file in the test.
  const reference = (): string =>
    (JSON.parse(readFileSync(join(stories, 'golden.json'), 'utf8')) as { greedy_text: string }).greedy_text
  const generate = (...more: string[]) =>
    runCli(['generate', '--model', stories, '--prompt', 'Once upon a time', '--max-new-tokens', '60', ...more])

  it('continues greedily as the reference does', async () => {
    const result = await generate('--json')
    expect(result.stderr).toBe('')
    const lines = result.json() as { text: string; ids: number[]; tokensPerSecond: number }[]
    expect(lines).toHaveLength(1)
    expect(lines[0]!.ids).toHaveLength(60)
    expect(lines[0]!.text.length).toBeGreaterThan(60)
    expect(reference().startsWith(`Once upon a time${lines[0]!.text}`)).toBe(true)
    expect(lines[0]!.tokensPerSecond).toBeGreaterThan(0)
  })

  it('prints prompt and continuation for people, and stops where told', async () => {
    const result = await generate('--stop', ' named')
    expect(result.stdout).toBe('Once upon a time, there was a little girl\n')
    expect(result.stderr).toMatch(/^\d+ tokens, [\d.]+ tokens\/s\n$/)
  })

  it('searches with beams as transformers 5.18 does', async () => {
    const flags = ['--beams', '3', '--length-penalty', '0.5', '--early-stopping', 'never', '--max-new-tokens', '40']
    const text =
      ", there was a little girl named Lily. She loved to play outside in the park with her friends. One day, Lily's mom as"
    const result = await runCli(['generate', '--model', stories, '--prompt', 'Once upon a time', ...flags, '--json'])
    expect(result.stderr).toBe('')
    expect(result.json()[0]!['text']).toBe(text)
  })

  it('samples the same text for the same seed, and another for another', async () => {
    const text = async (seed: string): Promise<string> =>
      (await generate('--temperature', '1', '--top-p', '0.95', '--seed', seed, '--json')).json()[0]!['text'] as string
    const [one, again, other] = [await text('1'), await text('1'), await text('2')]
    expect(again).toBe(one)
    expect(other).not.toBe(one)
  })
})
