/** @file A small chat model with adapters behind a server, for tests. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { addLora, loadModel, type FolderModel } from '../../src/index.js'
import { createServer, type RequestRecord, type Server, type ServerOptions } from '../../src/serve/index.js'
import { CHATML, writeChatModel } from '../support/chat-model.js'

export const work = mkdtempSync(join(tmpdir(), 'lowrank-serve-'))
// Files of one process share this module, so that no file's end is its end.
process.on('exit', () => rmSync(work, { recursive: true, force: true }))

/** CHATML with tools, as Qwen2.5 writes them. */
export const folder = writeChatModel(join(work, 'tiny-chat'), CHATML)

export const openModel = (): Promise<FolderModel> => loadModel(folder, { threads: 1 }) as Promise<FolderModel>

/** An adapter that changes what the model says: both of its matrices are random. */
export async function writeAdapter(name: string, seed: number): Promise<string> {
  const path = join(work, 'adapters', name)
  const adapter = await addLora(await openModel(), { r: 2, alpha: 64, initLoraWeights: false, seed })
  await adapter.save(path)
  return path
}

export interface Served {
  readonly server: Server
  /** Lines of the log. */
  readonly log: RequestRecord[]
  readonly errors: unknown[]
  get(path: string, headers?: Record<string, string>): Promise<Response>
  post(path: string, body: unknown, headers?: Record<string, string>, signal?: AbortSignal): Promise<Response>
}

/** A server of the model, with the adapters `red` and `blue` where nothing else is said. */
export async function serve(options: ServerOptions = {}): Promise<Served> {
  const log: RequestRecord[] = []
  const errors: unknown[] = []
  const server = await createServer(await openModel(), {
    onRequest: (record) => log.push(record),
    onError: (error) => errors.push(error),
    ...options,
  })
  const ask = (path: string, init: RequestInit): Promise<Response> =>
    server.fetch(new Request(`http://localhost:8000${path}`, init))
  return {
    ...{ server, log, errors },
    get: (path, headers = {}) => ask(path, { headers }),
    post: (path, body, headers = {}, signal) =>
      ask(path, {
        ...{ method: 'POST', headers: { 'content-type': 'application/json', ...headers } },
        body: typeof body === 'string' ? body : JSON.stringify(body),
        ...(signal && { signal }),
      }),
  }
}

/** The data of an event stream. */
export async function events(response: Response): Promise<string[]> {
  const text = await response.text()
  return text
    .split('\n\n')
    .filter((block) => block.startsWith('data: '))
    .map((block) => block.slice('data: '.length))
}
