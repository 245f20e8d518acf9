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

/** A server on this machine that waits for what a page posts to `/done`. */
export interface PageServer {
  /** Such as `http://localhost:1234`. */
  readonly origin: string
  /** What the page posted, from JSON. */
  readonly done: Promise<unknown>
  close(): void
}

/**
 * Serves folders and texts.
 * @param folders local folders by the URL path they are served under
 * @param texts other answers by URL path
 */
export async function servePage(
  folders: Readonly<Record<string, string>> = {},
  texts: Readonly<Record<string, string>> = {},
): Promise<PageServer> {
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
  return {
    origin: `http://localhost:${(server.address() as AddressInfo).port}`,
    done,
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}

/** Opens a page until a promise is settled. @throws Error if the browser ends before */
export async function browse<T>(url: string, until: Promise<T>): Promise<T> {
  const profile = await mkdtemp(join(tmpdir(), 'lowrank-chromium-'))
  const browser = spawn(chromium!, [...flags, `--user-data-dir=${profile}`, url], { stdio: 'ignore' })
  const exited = new Promise<void>((r) => browser.on('exit', () => r()))
  try {
    return await Promise.race([
      until,
      exited.then(() => {
        throw new Error('the browser ended before the page had reported')
      }),
    ])
  } finally {
    browser.kill('SIGKILL')
    await exited
    await rm(profile, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** Opens the page `/` of a server of its own and waits for what it posts. */
export async function runPage(query: string, ...served: Parameters<typeof servePage>): Promise<unknown> {
  const server = await servePage(...served)
  try {
    return await browse(`${server.origin}/?${query}`, server.done)
  } finally {
    server.close()
  }
}
