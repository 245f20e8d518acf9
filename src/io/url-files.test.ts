/**
 * @file Files behind URLs, against a server of functions: what is absent, what is a page in its place, what a failing server
 * is.
 */
import { describe, expect, it } from 'vitest'
import { FileError } from '../errors.js'
import { memoryFiles } from './memory-files.js'
import { urlFiles } from './url-files.js'

type Answer = (init: RequestInit | undefined, path: string) => Response

/** Files of a server that answers each path by a function, and `otherwise` for the rest. */
function serving(answers: Readonly<Record<string, Answer>>, otherwise: Answer): ReturnType<typeof urlFiles> {
  const fetcher = (async (input: string, init?: RequestInit) => {
    const path = new URL(input).pathname
    return (answers[path] ?? otherwise)(init, path)
  }) as typeof fetch
  return urlFiles(memoryFiles(), fetcher)
}

const page: Answer = () =>
  new Response('<!doctype html><title>app</title>', { headers: { 'content-type': 'text/html; charset=utf-8' } })
const file =
  (text: string, type = 'application/octet-stream'): Answer =>
  (init) =>
    new Response(init?.method === 'HEAD' ? null : text, { headers: { 'content-type': type, 'content-length': `${text.length}` } })

describe('urlFiles', () => {
  const site = 'https://example.org'

  it.each([
    ['text/html', 'text/html'],
    ['with a character set', 'Text/HTML;charset=UTF-8'],
    ['XHTML', 'application/xhtml+xml'],
  ])('takes a page for an absent file where a file is asked for (%s)', async (_, type) => {
    const files = serving({ '/model/config.json': file('{}', 'application/json') }, () => new Response('<html>', { headers: { 'content-type': type } })) // prettier-ignore
    expect(await files.exists(`${site}/model/config.json`)).toBe(true)
    expect(await files.exists(`${site}/model/chat_template.jinja`)).toBe(false)
    expect(await files.isDirectory(`${site}/model`)).toBe(true)
    expect(await files.isDirectory(`${site}/nothing`)).toBe(false)
    for (const read of [
      files.readText(`${site}/model/tokenizer.json`),
      files.read(`${site}/model/model.safetensors`, { offset: 0, length: 8 }),
      files.size(`${site}/rows.jsonl`),
      files.streamText(`${site}/rows.jsonl`)[Symbol.asyncIterator]().next(),
    ])
      await expect(read).rejects.toThrow(/does not exist/)
  })

  it('reads a page that is asked for by its name', async () => {
    expect(await serving({}, page).readText(`${site}/page.html?v=1`)).toContain('<title>app')
  })

  it.each([403, 404, 410])('takes status %i for an absent file', async (status) => {
    const files = serving({}, () => new Response(null, { status }))
    expect(await files.exists(`${site}/model/config.json`)).toBe(false)
  })

  it('does not take a failing server for an absent file', async () => {
    const files = serving({}, () => new Response(null, { status: 500 }))
    await expect(files.exists(`${site}/a`)).rejects.toThrow(
      new FileError(`${site}/a could not be fetched: the server answered 500`),
    )
  })

  it('asks a server without HEAD for the first byte', async () => {
    const answer: Answer = (init) => {
      if (init?.method === 'HEAD') return new Response(null, { status: 405 })
      expect(new Headers(init?.headers).get('range')).toBe('bytes=0-0')
      return new Response('a', { status: 206, headers: { 'content-range': 'bytes 0-0/1234', 'content-length': '1' } })
    }
    const files = serving({ '/a': answer }, page)
    expect([await files.exists(`${site}/a`), await files.size(`${site}/a`)]).toEqual([true, 1234])
  })
})
