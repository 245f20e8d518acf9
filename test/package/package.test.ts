/**
 * @file The package as its users get it: packed, installed in a project of their own by the command that README shows, used from
 * the command line, and the page of docs/browser.md word for word in Vite's own TypeScript template.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { generateRows, toJsonl } from '../../src/cli/demo/rows.js'
import { browse, chromium, servePage } from '../browser/chromium.js'
import { blocksOf } from '../support/document.js'
import { inRegistry, outsideEnvironment as env, TEMPLATE } from '../support/registry.js'

const run = async (cwd: string, command: string, args: readonly string[], timeout = 240_000): Promise<string> =>
  (await promisify(execFile)(command, args, { cwd, env, timeout, maxBuffer: 2 ** 26, shell: process.platform === 'win32' }))
    .stdout

const reachable = await inRegistry(TEMPLATE)
const title = reachable ? 'the packed package' : 'the packed package (no package registry can be reached)'

describe.skipIf(!reachable)(title, () => {
  const folder = mkdtempSync(join(tmpdir(), 'lowrank-package-'))
  const app = join(folder, 'app')
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  beforeAll(async () => {
    await run('.', 'npm', ['pack', '--ignore-scripts', '--pack-destination', folder])
    const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'))!
    await run(folder, 'npx', ['-y', TEMPLATE, 'app', '--template', 'vanilla-ts', '--no-interactive'])
    const [install] = blocksOf('bash', 'README.md')[0]!.split('\n')
    expect(install).toMatch(/^npm install .*lowrank$/)
    const words = install!.replace(/lowrank$/, join(folder, tarball)).split(' ')
    await run(app, words[0]!, [...words.slice(1), '--no-audit', '--no-fund', '--prefer-offline'])
  }, 600_000)

  it('fine-tunes a model by the second line of README', async () => {
    const [, line] = blocksOf('bash', 'README.md')[0]!.split('\n')
    expect(line).toMatch(/^npx lowrank demo\b/)
    const command = line!.split('#')[0]!.trim().split(' ')
    const events = (await run(app, command[0]!, [...command.slice(1), '--json'], 580_000)).trim().split('\n')
    expect(JSON.parse(events.at(-1)!)).toMatchObject({ mergedModules: 28, texts: 60, holds: true })
    expect(readdirSync(join(app, 'out/demo'))).toEqual(expect.arrayContaining(['adapter', 'merged']))
  }, 600_000)

  it('compiles in a page, word for word', async () => {
    writeFileSync(join(app, 'src/main.ts'), blocksOf('ts', 'docs/browser.md')[0]!)
    await run(app, 'npm', ['run', 'build'])
  }, 240_000)

  describe.skipIf(chromium === undefined)('in Chromium', () => {
    let server: ChildProcess | undefined
    afterAll(() => server?.kill('SIGKILL'))

    it.each(['dev', 'preview'])(
      'runs that page under vite %s, whose server answers every path',
      async (mode) => {
        cpSync('demo/base', join(app, 'public/model'), { recursive: true })
        writeFileSync(join(app, 'public/rows.jsonl'), toJsonl(generateRows('trains', 40, 1)))
        const report = await servePage()
        // The page as it stands, with this site's addresses, and console.log also posted here.
        const source = blocksOf('ts', 'docs/browser.md')[0]!
          .replace("'https://example.org/my-model'", "new URL('/model', location.href).href")
          .replace("'https://example.org/rows.jsonl'", "new URL('/rows.jsonl', location.href).href")
        const post = `(result: unknown) => void fetch('${report.origin}/done', { method: 'POST', mode: 'no-cors', body: JSON.stringify(result) })`
        writeFileSync(
          join(app, 'src/main.ts'),
          `const post = ${post}
addEventListener('error', (event) => post({ error: event.message }))
addEventListener('unhandledrejection', (event) => post({ error: String(event.reason) }))
const lines: unknown[][] = []
console.log = (...line: unknown[]) => { lines.push(line) }
const { run } = await import('./page.ts')
await run()
post({ lines })
`,
        )
        const [imports, body] = source.split(/\n\n([\s\S]*)/) as [string, string]
        writeFileSync(join(app, 'src/page.ts'), `${imports}\nexport async function run(): Promise<void> {\n${body}\n}\n`)
        if (mode === 'preview') await run(app, 'npx', ['vite', 'build'])
        const url = await new Promise<string>((resolve, reject) => {
          server = spawn('npx', ['vite', ...(mode === 'preview' ? ['preview'] : []), '--port', '0', '--host', '127.0.0.1'], { cwd: app, env, detached: true }) // prettier-ignore
          let output = ''
          server.stdout!.on('data', (chunk: Buffer) => {
            output += chunk.toString().replace(/\u001b\[\d+m/g, '')
            const found = /http:\/\/127\.0\.0\.1:\d+/.exec(output)
            if (found) resolve(found[0])
          })
          server.on('exit', () => reject(new Error(`vite ended: ${output}`)))
        })
        try {
          const { lines, error } = (await browse(url, report.done)) as { lines?: unknown[][]; error?: string }
          expect(error).toBeUndefined()
          expect(lines).toHaveLength(21)
          const losses = lines!.slice(0, 20).map(([, loss]) => loss as number)
          expect(losses.at(-1)!).toBeLessThan(losses[0]!)
          expect(typeof lines![20]![0]).toBe('string')
        } finally {
          process.kill(-server!.pid!, 'SIGKILL')
          report.close()
        }
      },
      240_000,
    )
  })
})
