/** @file A small hub that takes what is pushed, by the paths of huggingface.co, and gives it back as {@link fakeHub} does. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { COMMIT, fakeHub, sha256, type Fake } from './fake-hub.js'

/** Files of more bytes go by Git LFS, and of many more in parts. */
const LARGE = 2000
const PART = 100_000

interface Commit {
  readonly branch: string
  readonly title: string
  readonly pullRequest: boolean
  readonly paths: readonly string[]
}

export interface PublishingHub extends Fake {
  /** Whether the repository is there, and private. */
  repository: { private: boolean } | undefined
  /** Files by branch; those of main are what is given back. */
  readonly branches: Map<string, Record<string, Buffer>>
  readonly commits: Commit[]
  /** Large files that arrived, by their hashes. */
  readonly storage: Map<string, Buffer>
  /** What was sent along with a large file's parts: the token of the hub has no business there. */
  readonly storageTokens: (string | undefined)[]
  /** Refuses a path with a status, or drops its connection. */
  readonly trouble: Map<RegExp, number | 'drop'>
}

interface Line {
  readonly key: string
  readonly value: { readonly path: string; readonly content: string; readonly oid: string; readonly size: number; readonly summary: string } // prettier-ignore
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part as Buffer)
  const body = Buffer.concat(parts)
  // Storage takes nothing whose length is not told.
  if (request.method !== 'GET' && Number(request.headers['content-length']) !== body.length)
    throw new Error('no length, or a wrong one')
  return body
}

/** A hub with one repository of this name, or none. @param token may write; `READ-ONLY` may only read */
export async function publishingHub(name: string, token: string): Promise<PublishingHub> {
  const main: Record<string, Buffer> = {}
  const hub = Object.assign(await fakeHub(name, main), {
    repository: undefined as PublishingHub['repository'],
    branches: new Map([['main', main]]),
    commits: [] as Commit[],
    storage: new Map<string, Buffer>(),
    storageTokens: [] as (string | undefined)[],
    trouble: new Map<RegExp, number | 'drop'>(),
  })
  const parts = new Map<string, Buffer>()
  // Another origin of the same machine, as storage is another machine than the hub.
  const store = hub.endpoint.replace('127.0.0.1', 'localhost')
  const api = `/api/models/${name}`
  const json = (response: ServerResponse, status: number, body: unknown): void => {
    response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body))
  }

  const uploadOf = (oid: string, size: number): unknown => {
    if (size <= PART) return { href: `${store}/storage/${oid}` }
    const numbers = Array.from({ length: Math.ceil(size / PART) }, (_, index) => String(index + 1).padStart(5, '0'))
    const header = Object.fromEntries(numbers.map((number) => [number, `${store}/part/${oid}/${number}`]))
    return { href: `${store}/complete/${oid}`, header: { chunk_size: String(PART), ...header } }
  }

  /** All of a commit, or nothing. */
  const commit = (response: ServerResponse, branch: string, lines: readonly Line[], pullRequest: boolean): void => {
    const added: Record<string, Buffer> = {}
    for (const { key, value } of lines.slice(1)) {
      const content = key === 'file' ? Buffer.from(value.content, 'base64') : hub.storage.get(value.oid)
      if (content === undefined || (key === 'lfsFile' && content.length !== value.size))
        return json(response, 400, { error: `${value.path} is not in storage` })
      added[value.path] = content
    }
    hub.commits.push({ branch, title: lines[0]!.value.summary, pullRequest, paths: Object.keys(added) })
    if (!pullRequest) Object.assign(hub.branches.get(branch)!, added)
    json(response, 200, {
      ...{ success: true, commitOid: COMMIT, commitUrl: `${hub.endpoint}/${name}/commit/${COMMIT}`, hookOutput: '' },
      ...(pullRequest && { pullRequestUrl: `${hub.endpoint}/${name}/discussions/1` }),
    })
  }

  const answer = async (path: string, response: ServerResponse, request: IncomingMessage): Promise<void> => {
    const body = await bodyOf(request)
    const read = <T>(): T => JSON.parse(body.toString()) as T
    const [, kind, oid = '', part = ''] = /^\/(storage|part|complete)\/(\w+)\/?(\d*)$/.exec(path) ?? []
    if (kind !== undefined) {
      if (kind !== 'complete') hub.storageTokens.push(request.headers.authorization)
      if (kind === 'part') {
        parts.set(part, body)
        response.writeHead(200, { ETag: `"${part}"` }).end()
        return
      }
      const all = [...parts.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, bytes]) => bytes)
      const content = kind === 'storage' ? body : Buffer.concat(all)
      if (sha256(content) !== oid) return json(response, 400, { error: 'another hash' })
      hub.storage.set(oid, content)
      return json(response, 200, {})
    }
    const authorization = request.headers.authorization
    if (authorization !== `Bearer ${token}` && authorization !== 'Bearer READ-ONLY')
      return json(response, 401, { error: 'Invalid credentials in Authorization header' })
    const writes = request.method === 'POST'
    if (writes && authorization === 'Bearer READ-ONLY')
      return json(response, 403, { error: 'You have read access but not the required permissions for this operation' })
    if (path === '/api/repos/create') {
      const asked = read<{ name: string; organization: string; type: string; visibility?: string }>()
      if (hub.repository !== undefined || `${asked.organization}/${asked.name}` !== name || asked.type !== 'model')
        return json(response, 409, { error: 'You already created this model repo' })
      hub.repository = { private: asked.visibility === 'private' }
      return json(response, 200, { url: `${hub.endpoint}/${name}`, id: '1' })
    }
    if (hub.repository === undefined) return json(response, 404, { error: 'Repository not found' })
    const [, action, rest = ''] = /^\/api\/models\/[^/]+\/[^/]+\/(revision|branch|preupload|commit)\/(.+)$/.exec(path) ?? []
    const branch = decodeURIComponent(rest)
    if (action === 'branch') {
      hub.branches.set(branch, {})
      return json(response, 200, {})
    }
    const known = branch === 'HEAD' || hub.branches.has(branch)
    if (action !== undefined && path.startsWith(api) && !known) return json(response, 404, { error: `Invalid rev id: ${branch}` })
    if (action === 'revision')
      return json(response, 200, { _id: '1', id: name, sha: COMMIT, private: hub.repository.private, lastModified: '2026-01-01T00:00:00Z' }) // prettier-ignore
    if (action === 'preupload') {
      const { files } = read<{ files: { path: string; size: number; sample: string }[] }>()
      return json(response, 200, {
        files: files.map(({ path: file, size }) => ({ path: file, uploadMode: size > LARGE ? 'lfs' : 'regular' })),
      })
    }
    if (path === `/${name}.git/info/lfs/objects/batch`) {
      const { objects, transfers } = read<{ objects: { oid: string; size: number }[]; transfers: string[] }>()
      return json(response, 200, {
        transfer: transfers.includes('multipart') ? 'multipart' : 'basic',
        objects: objects.map((object) => ({
          ...object,
          ...(!hub.storage.has(object.oid) && { actions: { upload: uploadOf(object.oid, object.size) } }),
        })),
      })
    }
    if (action === 'commit') {
      const lines = body.toString().split('\n').map((line) => JSON.parse(line) as Line) // prettier-ignore
      return commit(response, branch, lines, new URL(request.url!, hub.endpoint).searchParams.get('create_pr') === '1')
    }
    json(response, 404, { error: `nothing at ${path}` })
  }

  hub.answer = (path, response, request) => {
    for (const [pattern, what] of hub.trouble)
      if (pattern.test(path)) {
        if (what === 'drop') request.socket.destroy()
        else json(response, what, { error: 'in trouble' })
        return true
      }
    // What is read back is answered by the other hub.
    if (hub.repository !== undefined && (path.includes('/resolve/') || path.includes('/tree/'))) {
      const readme = path === `/${name}/resolve/main/README.md` ? main['README.md'] : undefined
      if (readme === undefined) return false
      response.end(readme)
      return true
    }
    answer(path, response, request).catch((error: unknown) => json(response, 500, { error: String(error) }))
    return true
  }
  return hub
}
