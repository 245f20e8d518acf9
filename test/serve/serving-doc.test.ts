/** @file docs/serving.md: its requests and its programs run, and it knows every endpoint. */
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { ChatOpenAI } from '@langchain/openai'
import { generateText } from 'ai'
import { readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { listen, type Listener } from '../../src/cli/serve/listen.js'
import { generate, loadAdapter, loadModel } from '../../src/index.js'
import { createServer } from '../../src/serve/index.js'
import { routes } from '../../src/serve/routes/index.js'
import { blocksOf, documentBlocks, runHere } from '../support/document.js'
import { folder, openModel, serve, writeAdapter, type Served } from './served.js'

const page = 'docs/serving.md'
const ADDRESS = 'http://127.0.0.1:8000'
let served: Served
let listener: Listener
let sql: string
let text: string
beforeAll(async () => {
  sql = await writeAdapter('sql', 3)
  await writeAdapter('tax', 4)
  served = await serve({ adapters: { sql }, adaptersFolder: dirname(sql), allowRuntimeAdapters: true })
  listener = await listen((request) => served.server.fetch(request), { host: '127.0.0.1', port: 0, bodyTimeout: 5000 })
  const messages = [{ role: 'user', content: 'How many users are there?' }]
  text = (await generate(await loadAdapter(await openModel(), sql), { messages, maxNewTokens: 1 })).text
})
afterAll(() => listener.close())

/** A request as curl would send it. */
async function curl(command: string): Promise<Response> {
  const [, url] = /curl (\S+)/.exec(command)!
  const headers = Object.fromEntries([...command.matchAll(/-H '([^:]+): ([^']+)'/g)].map(([, name, value]) => [name!, value!]))
  const body = /-d '([^']+)'/.exec(command)![1]!
  return fetch(url!.replace(ADDRESS, listener.url), { method: 'POST', headers, body })
}

describe('docs/serving.md', () => {
  it('sends requests that are answered', async () => {
    const commands = blocksOf('bash', page).flatMap((block) => block.replaceAll('\\\n', '').split('\n')).filter((line) => line.startsWith('curl ')) // prettier-ignore
    expect(commands).toHaveLength(3)
    for (const command of commands) expect((await curl(command)).status, command).toBe(200)
  })

  it('has programs that run', async () => {
    const programs = blocksOf('ts', page)
    for (const program of programs) {
      const said: unknown[] = []
      const code = program.replaceAll(ADDRESS, listener.url).replace("'SmolLM2-135M-Instruct'", JSON.stringify(folder)).replace("'out/sql'", JSON.stringify(sql)) // prettier-ignore
      const out = { stdout: { write: (piece: string) => void said.push(piece) } }
      await runHere(code, {
        ...{ OpenAI, createOpenAICompatible, generateText, ChatOpenAI, createServer, loadModel },
        ...{ process: out, console: { log: (value: unknown) => void said.push(value) } },
      })
      if (program.includes('createServer'))
        expect(said).toMatchObject([{ object: 'list', data: [{ id: 'tiny-chat' }, { id: 'sql' }] }])
      else expect((said as string[]).join('').length).toBeGreaterThan(text.length)
    }
    expect(programs).toHaveLength(4)
  })

  it('knows every endpoint, and none that is not there', () => {
    const section = readFileSync(page, 'utf8').split('\n## ').find((part) => part.startsWith('Endpoints'))! // prettier-ignore
    const told = new Set([...section.matchAll(/`(?:GET|POST)?,? ?(?:`, `POST )?(\/[\w/{}.-]+)/g)].map(([, path]) => path!))
    expect([...told].sort()).toEqual(
      [...new Set(routes.map(({ path }) => path.replace('+}', '}')).filter((path) => path !== '/'))].sort(),
    )
  })

  it('has manifests that can be read', () => {
    const [manifests] = documentBlocks(page).filter(({ language }) => language === 'yaml')
    expect(manifests!.text.split('\n---\n').map((each) => (parse(each) as { kind: string }).kind)).toEqual([
      'Deployment',
      'Service',
    ])
  })
})
