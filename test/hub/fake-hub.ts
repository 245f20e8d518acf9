/** @file A small hub on 127.0.0.1 that speaks the paths of huggingface.co, and can be told to misbehave. */
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export const COMMIT = 'a'.repeat(40)

export interface Fake {
  readonly endpoint: string
  /** `METHOD path range` of every request. */
  readonly requests: string[]
  /** Cut the connection of the next downloads of a file after so many bytes each. */
  readonly cuts: Map<string, number[]>
  /** Only this token may read. */
  token: string | undefined
  /** A status for the files alone, as a gated repository gives. */
  gated: boolean
  ignoreRange: boolean
  /** Answers a path in a way of its own, before anything else; true where it did. */
  answer: ((path: string, response: ServerResponse, request: IncomingMessage) => boolean) | undefined
  /** Answers this status to everything. */
  down: number | undefined
  close(): Promise<void>
}

export const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
export const gitSha1 = (bytes: Buffer): string => createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex')

/** What lies in one folder, folders themselves without what is in them, as the hub lists it. */
function listFolder(files: Readonly<Record<string, Buffer>>, folder: string): unknown[] {
  const inside = Object.entries(files).filter(([path]) => folder === '' || path.startsWith(`${folder}/`))
  const depth = folder === '' ? 0 : folder.split('/').length
  const folders = new Set(inside.map(([path]) => path.split('/')).filter((parts) => parts.length > depth + 1).map((parts) => parts.slice(0, depth + 1).join('/'))) // prettier-ignore
  return [
    ...[...folders].map((path) => ({ type: 'directory', path, size: 0, oid: gitSha1(Buffer.from(path)) })),
    ...inside
      .filter(([path]) => path.split('/').length === depth + 1)
      .map(([path, bytes]) => ({
        type: 'file',
        path,
        size: bytes.length,
        oid: gitSha1(path.endsWith('.safetensors') ? Buffer.from('a pointer') : bytes),
        ...(path.endsWith('.safetensors') && { lfs: { oid: sha256(bytes), size: bytes.length, pointerSize: 130 } }),
      })),
  ]
}

/** Serves `files` as repository `name` with branch main; names ending in .safetensors are "large" (LFS). */
export async function fakeHub(name: string, files: Record<string, Buffer>): Promise<Fake> {
  const state = {
    requests: [] as string[],
    cuts: new Map<string, number[]>(),
    token: undefined as string | undefined,
    gated: false,
    ignoreRange: false,
    answer: undefined as Fake['answer'],
    down: undefined as number | undefined,
  }
  const json = (response: ServerResponse, status: number, body: unknown): void => {
    response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body))
  }
  const sendFile = (request: IncomingMessage, response: ServerResponse, path: string, bytes: Buffer): void => {
    const range = state.ignoreRange ? undefined : /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '')
    const start = range ? Number(range[1]) : 0
    const part = bytes.subarray(start)
    const large = path.endsWith('.safetensors')
    response.writeHead(range ? 206 : 200, {
      'Content-Length': part.length,
      'Accept-Ranges': 'bytes',
      'X-Repo-Commit': COMMIT,
      ETag: `"${large ? sha256(bytes) : gitSha1(bytes)}"`,
      ...(large && { 'X-Linked-Size': bytes.length, 'X-Linked-ETag': `"${sha256(bytes)}"` }),
      ...(range && { 'Content-Range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` }),
    })
    const cut = state.cuts.get(path)?.shift()
    if (cut === undefined) response.end(part)
    else response.write(part.subarray(0, cut), () => setTimeout(() => response.destroy(), 20))
  }
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost')
    state.requests.push(`${request.method} ${url.pathname} ${request.headers.range ?? ''}`.trim())
    if (state.answer?.(url.pathname, response, request) === true) return
    if (state.down !== undefined) return json(response, state.down, { error: 'Service unavailable' })
    const authorization = request.headers.authorization
    if (state.token !== undefined && authorization !== `Bearer ${state.token}`)
      return json(response, 401, {
        error: authorization === undefined ? 'Invalid username or password.' : 'Invalid credentials in Authorization header',
      })
    const [, revision] = /^\/api\/models\/[^/]+\/[^/]+\/revision\/(.+)$/.exec(url.pathname) ?? []
    if (!url.pathname.includes(`/${name}/`)) return json(response, 404, { error: 'Repository not found' })
    if (revision !== undefined)
      return ['main', 'HEAD', 'v1', COMMIT].includes(revision)
        ? json(response, 200, { _id: '1', id: name, sha: COMMIT, lastModified: '2026-01-01T00:00:00Z' })
        : json(response, 404, { error: `Invalid rev id: ${revision}` })
    const tree = `/api/models/${name}/tree/${COMMIT}`
    if (url.pathname === tree || url.pathname.startsWith(`${tree}/`))
      return json(response, 200, listFolder(files, decodeURIComponent(url.pathname.slice(tree.length + 1))))
    const prefix = `/${name}/resolve/${COMMIT}/`
    const path = url.pathname.startsWith(prefix) ? decodeURIComponent(url.pathname.slice(prefix.length)) : ''
    const bytes = files[path]
    if (bytes === undefined) return json(response, 404, { error: 'Entry not found' })
    if (state.gated) return json(response, 403, { error: 'Access to this model is restricted' })
    sendFile(request, response, path, bytes)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return Object.assign(state, {
    endpoint,
    close: () =>
      new Promise<void>((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  })
}
