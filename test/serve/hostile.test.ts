/** @file A socket that strangers write to: floods of headers, bodies that never end, lies of length, clients that leave. */
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { listen, type Listener } from '../../src/cli/serve/listen.js'
import { serve, type Served } from './served.js'

let served: Served
let listener: Listener
beforeAll(async () => {
  served = await serve({ maxBodyBytes: 100_000, bodyTimeout: 0.3, hosts: ['127.0.0.1'] })
  listener = await listen((request) => served.server.fetch(request), { host: '127.0.0.1', port: 0, bodyTimeout: 300 })
})
afterAll(() => listener.close())

/** Sends text as it is, and gives all that comes back until the server closes or `until` came. */
const raw = (text: string, until = '\n\n\n\n'): Promise<string> =>
  new Promise((resolve, reject) => {
    const { hostname, port } = new URL(listener.url)
    const socket = connect(Number(port), hostname)
    let got = ''
    const done = (): void => {
      socket.destroy()
      resolve(got)
    }
    socket.setEncoding('utf8').on('data', (piece: string) => {
      got += piece
      if (got.includes(until)) done()
    })
    socket.on('close', done).on('error', (error: NodeJS.ErrnoException) => (error.code === 'ECONNRESET' || error.code === 'EPIPE' ? done() : reject(error))) // prettier-ignore
    socket.write(text)
  })
const head = (...lines: string[]): string => ['POST /v1/completions HTTP/1.1', 'Host: 127.0.0.1', ...lines, '', ''].join('\r\n')
const alive = async (): Promise<void> => expect((await fetch(`${listener.url}/health`)).status).toBe(200)

describe('strangers', () => {
  it('who send floods of headers are refused', async () => {
    const flood = Array.from({ length: 3000 }, (_, i) => `X-${i}: ${'a'.repeat(30)}`)
    expect(await raw(head(...flood))).toMatch(/^HTTP\/1\.1 431/)
    await alive()
  })

  it('who send more than they may are refused before the end, with the length told or not', async () => {
    expect(await raw(`${head('Content-Length: 10000000')}{`, '}}')).toMatch(/^HTTP\/1\.1 413[^]*body_too_large/)
    const chunk = `${(60_000).toString(16)}\r\n${' '.repeat(60_000)}\r\n`
    expect(await raw(head('Transfer-Encoding: chunked') + chunk.repeat(3), '}}')).toMatch(/^HTTP\/1\.1 413/)
    const big = await fetch(`${listener.url}/v1/completions`, { method: 'POST', body: ' '.repeat(10_000_000) }).catch(
      () => undefined,
    )
    expect(big?.status ?? 413).toBe(413)
    await alive()
  })

  it('who send slowly are refused in time', async () => {
    expect(await raw(`${head('Content-Length: 50')}{"prompt"`, '}}')).toMatch(/^HTTP\/1\.1 408[^]*body_timeout/)
    await alive()
  })

  it('who lie of their length, speak no HTTP, or ask for two things at once get nothing done', async () => {
    expect(await raw('GARBAGE\r\n\r\n')).toMatch(/^HTTP\/1\.1 400/)
    expect(await raw(head('Content-Length: 5', 'Transfer-Encoding: chunked') + '0\r\n\r\n')).toMatch(/^HTTP\/1\.1 400/)
    expect(await raw(head('Content-Length: -1') + '{}')).toMatch(/^HTTP\/1\.1 400/)
    await alive()
  })

  it('who call the server by another name are refused', async () => {
    const answer = await raw('GET /v1/models HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n', '}}')
    expect(answer).toMatch(/^HTTP\/1\.1 403[^]*host_not_allowed/)
  })

  it('who leave take nothing with them', async () => {
    const body = JSON.stringify({ prompt: 'Hi', max_tokens: 200, ignore_eos: true })
    for (const stream of [body, body.replace('{', '{"stream":true,')]) {
      const leaving = raw(`${head(`Content-Length: ${stream.length}`)}${stream}`, stream === body ? undefined : 'data: ')
      await expect.poll(() => served.server.engine.running + served.log.length).toBeGreaterThan(0)
      void leaving
    }
    const { hostname, port } = new URL(listener.url)
    const socket = connect(Number(port), hostname)
    socket.write(`${head(`Content-Length: ${body.length}`)}${body}`)
    await expect.poll(() => served.server.engine.running).toBeGreaterThan(0)
    socket.destroy()
    await expect.poll(() => served.server.engine.running, { timeout: 5000 }).toBe(0)
    expect(served.log.some(({ aborted, status }) => aborted === true && status === 499)).toBe(true)
    expect(served.errors).toEqual([])
    await alive()
  })
})
