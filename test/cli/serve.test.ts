/** @file `lowrank serve` as a process: its port, its log, its end. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { addLora, loadModel } from '../../src/index.js'
import { writeChatModel } from '../support/chat-model.js'
import { finish, runCli, startCli, temporaryFolder } from './run-cli.js'

const work = temporaryFolder()
const folder = writeChatModel(join(work, 'tiny-chat'))
const model = await loadModel(folder, { threads: 1 })
await (await addLora(model, { r: 2, alpha: 64, initLoraWeights: false })).save(join(work, 'adapters', 'red'))

const lines = (text: string): Record<string, unknown>[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>)

describe('lowrank serve', () => {
  it('listens, answers, tells of each request, and answers what it has begun when it is asked to end', async () => {
    const args = ['serve', '--model', folder, '--adapter', `red=${join(work, 'adapters/red')}`, '--port', '0', '--json', '--threads', '1'] // prettier-ignore
    const child = startCli(args, { LOWRANK_API_KEY: 'secret' })
    let stdout = ''
    child.stdout.on('data', (text: string) => (stdout += text))
    const done = finish(child)
    await expect.poll(() => stdout, { timeout: 30_000 }).toContain('"ready"')
    const [listening, ready] = lines(stdout)
    expect(ready).toEqual({ event: 'ready', model: 'tiny-chat', adapters: ['red'] })
    const url = listening!['url'] as string
    const headers = { authorization: 'Bearer secret', 'content-type': 'application/json' }
    expect((await fetch(`${url}/v1/models`)).status).toBe(401)
    expect((await fetch(`${url}/ready`)).status).toBe(200)
    const messages = [{ role: 'user', content: 'Hi' }]
    const body = JSON.stringify({ model: 'red', messages, max_tokens: 200, ignore_eos: true, stream: true })
    const stream = await fetch(`${url}/v1/chat/completions`, { method: 'POST', headers, body })
    const reader = stream.body!.getReader()
    await reader.read()
    child.kill('SIGTERM')
    const decoder = new TextDecoder()
    let text = ''
    for (let next = await reader.read(); !next.done; next = await reader.read()) text += decoder.decode(next.value)
    expect(text).toMatch(/"finish_reason":"length"[^\n]*\n\ndata: \[DONE\]\n\n$/)
    await expect(fetch(`${url}/health`)).rejects.toThrow()
    const { code, stderr } = await done
    expect(code).toBe(0)
    expect(stderr).toContain('answering what was asked already')
    const log = lines(stdout).slice(2)
    expect(log.map(({ path, status }) => [path, status])).toEqual([['/v1/models', 401], ['/ready', 200], ['/v1/chat/completions', 200]]) // prettier-ignore
    expect(log.at(-1)).toMatchObject({ key: 'key-1', adapters: ['red'], stream: true, completionTokens: 200 })
    expect(stdout).not.toContain('secret')
  })

  it('says before anything is loaded that its port is taken, or that its host is not here', async () => {
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    const { port } = other.address() as AddressInfo
    const taken = await runCli(['serve', '--model', 'nowhere', '--port', String(port)])
    other.close()
    expect([taken.code, taken.stderr]).toEqual([1, `error: port ${port} of 127.0.0.1 is taken by another program; choose another --port, or 0 for one that is free\n`]) // prettier-ignore
    const elsewhere = await runCli(['serve', '--model', 'nowhere', '--port', '0', '--host', '192.0.2.1'])
    expect(elsewhere.stderr).toContain('192.0.2.1 is no address of this machine')
  })

  it.each([
    [['--adapter', 'a=x', '--adapter', 'a=y'], 2, '--adapter names a twice'],
    [['--max-rows', '0'], 2, '--max-rows'],
    [['--api-key', ''], 2, '--api-key'],
    [['--adapter', 'a=nowhere'], 1, 'nowhere'],
  ])('refuses %j', async (args, code, message) => {
    const result = await runCli(['serve', '--model', folder, '--port', '0', '--threads', '1', ...args])
    expect([result.code, result.stderr]).toEqual([code, expect.stringContaining(message)])
  })
})
