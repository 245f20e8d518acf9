/** @file A headless Chromium and a server of one page, for tests: the page posts what it found to `/done`. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'

/** The browser to test with, or undefined where none is installed. */
export const chromium = [
  process.env['CHROMIUM'] ?? '',
  '/usr/lib/chromium/chromium',
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
].find((path) => path !== '' && existsSync(path))

const types: Readonly<Record<string, string>> = {
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
}

/** WebGPU on the CPU (SwiftShader), and nothing that needs a network. */
const flags = [
  ...['--headless=new', '--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking'],
  ...['--disable-component-update', '--disable-sync', '--disable-dev-shm-usage', '--enable-unsafe-webgpu'],
  ...['--use-webgpu-adapter=swiftshader', '--enable-features=Vulkan,WebGPU'],
]

/**
 * Opens a page and waits for what it posts.
 * @param folders local folders by the URL path they are served under
 * @param texts other answers by URL path
 */
export async function runPage(
  query: string,
  folders: Readonly<Record<string, string>>,
  texts: Readonly<Record<string, string>>,
): Promise<unknown> {
  let resolve: (value: unknown) => void
  const done = new Promise<unknown>((r) => (resolve = r))
  const server = createServer((request, response) => {
    const path = new URL(request.url!, 'http://localhost').pathname
    if (path === '/done') {
      let body = ''
      request.on('data', (chunk: Buffer) => (body += chunk.toString()))
      request.on('end', () => {
        response.end()
        resolve(JSON.parse(body))
      })
      return
    }
    const answer = async (): Promise<Buffer> => {
      if (texts[path] !== undefined) return Buffer.from(texts[path])
      const folder = Object.keys(folders).find((prefix) => path.startsWith(prefix))
      if (folder === undefined) throw new Error('no such file')
      return readFile(join(folders[folder]!, path.slice(folder.length)))
    }
    answer().then(
      (bytes) => {
        const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '')
        const body = range === null ? bytes : bytes.subarray(Number(range[1]), Number(range[2]) + 1)
        response.writeHead(range === null ? 200 : 206, {
          'Content-Type': path === '/' ? 'text/html' : (types[extname(path)] ?? 'application/octet-stream'),
          'Content-Length': body.length,
        })
        response.end(request.method === 'HEAD' ? undefined : body)
      },
      () => response.writeHead(404).end(),
    )
  })
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready))
  const { port } = server.address() as AddressInfo
  const profile = await mkdtemp(join(tmpdir(), 'lowrank-chromium-'))
  const browser = spawn(chromium!, [...flags, `--user-data-dir=${profile}`, `http://localhost:${port}/?${query}`], {
    stdio: 'ignore',
  })
  const exited = new Promise<void>((r) => browser.on('exit', () => r()))
  try {
    return await Promise.race([
      done,
      exited.then(() => {
        throw new Error('the browser ended before the page had reported')
      }),
    ])
  } finally {
    browser.kill('SIGKILL')
    await exited
    server.closeAllConnections()
    server.close()
    await rm(profile, { recursive: true, force: true, maxRetries: 5 })
  }
}
