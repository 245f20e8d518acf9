/** @file lowrank generate: greedy text against its reference's, beams against transformers, samples by their seed. */
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { golden, runCli } from './run-cli.js'

const stories = resolve(import.meta.dirname, '../../../shared/models/stories260k')

describe('generate', () => {
  it('needs a tokenizer for a text prompt', async () => {
    const result = await runCli(['generate', '--model', join(golden, 'llama', 'model'), '--prompt', 'x', '--json'])
    expect([result.code, result.stdout, result.stderr]).toEqual([1, '', expect.stringMatching(/^error: .*tokenizer/)])
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
