/** @file The examples, run as their readers run them: they import `lowrank` by its name, which is the built package. */
import { build } from 'esbuild'
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { chromium as browsers } from 'playwright-core'
import { afterAll, describe, expect, it } from 'vitest'
import { chromium, servePage } from '../browser/chromium.js'

const folder = mkdtempSync(join(tmpdir(), 'lowrank-examples-'))
const bundles = resolve('.cache/test/examples')
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Runs an example in a process of its own, as JavaScript: TypeScript's types taken off, its imports as they are. */
async function run(name: string, ...args: string[]): Promise<string> {
  const outfile = join(bundles, `${name}.mjs`)
  // Not by tsconfig.json, whose paths lead to the sources.
  await build({
    entryPoints: [`examples/${name}.ts`],
    outfile,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    tsconfigRaw: {},
  })
  return (await promisify(execFile)(process.execPath, [outfile, ...args], { timeout: 120_000 })).stdout
}

const number = (text: string, after: string): number => Number(new RegExp(`${after}:? (-?[\\d.e+-]+)`).exec(text)?.[1])

describe('the examples', () => {
  it('fine-tune', async () => {
    const text = await run('fine-tune', 'demo/base', join(folder, 'fine-tune'))
    expect(number(text, 'loss after')).toBeLessThan(number(text, 'loss before') / 4)
    expect(text).toMatch(/^text: At .* they cook .* food\.$/m)
    expect(readdirSync(join(folder, 'fine-tune'))).toContain('adapter_config.json')
  })

  it('classify', async () => {
    const text = await run('classify', 'demo/base', join(folder, 'classify'))
    expect(text).toContain('labels: complaint, praise, question')
    expect(number(text, 'accuracy:')).toBe(1)
    for (const label of ['praise', 'complaint', 'question'])
      expect(text).toMatch(new RegExp(`^${label} \\([01]\\.\\d+\\): Ida `, 'm'))
    const merged = JSON.parse(readFileSync(join(folder, 'classify-merged/config.json'), 'utf8')) as object
    expect(merged).toMatchObject({ id2label: { 0: 'complaint', 1: 'praise', 2: 'question' } })
  })

  it('embed and search', async () => {
    const text = await run('embed-and-search')
    expect(text.match(/^.* -> .*$/gm)).toEqual([
      'rain all day -> weather: wet',
      'a cold morning -> weather: frost',
      'pizza and pasta -> food: Italian',
      'soup and noodles -> food: Thai',
      'the train is late -> travel: delay',
      'a ticket to the coast -> travel: journey',
    ])
  })

  it('adapt an .onnx file', async () => {
    const text = await run('adapt-onnx', 'test/fixtures/onnx/cnn.onnx', join(folder, 'adapted.onnx'))
    expect(number(text, 'loss after')).toBeLessThan(number(text, 'loss before') / 2)
    expect(number(text, 'merged file')).toBeCloseTo(number(text, 'loss after'), 2)
  })

  it('a rule of one’s own', async () => {
    const text = await run('own-rule')
    expect(number(text, 'of the rule')).toBeLessThan(1e-5)
    expect(number(text, 'forgets 1 − σ')).toBeGreaterThan(1e-2)
    // σ(1) = 0.73106, and σ·(1 − σ)
    expect(text).toContain('slopes at -1, 0, 1: 0.1966, 0.2500, 0.1966')
  })

  it('a loss of one’s own', async () => {
    const text = await run('own-loss')
    expect(number(text, 'loss after')).toBeLessThan(number(text, 'loss before'))
  })

  it('switching adapters', async () => {
    const text = await run('switch-adapters')
    expect(text).toContain('sailor: Ahoy.')
    expect(text).toContain('clerk: Next please.')
    expect(text).toContain('in one batch: Next please. | Ahoy.')
    expect(text).toContain('the base says the same')
  })

  it.skipIf(chromium === undefined)(
    'a page',
    async () => {
      // The flags of docs/browser.md, word for word, but for this checkout's paths to its sources.
      const command = /^npx esbuild page\.ts (.+) --outdir=site$/m.exec(readFileSync('docs/browser.md', 'utf8'))![1]!
      const args = ['examples/page/page.ts', ...command.split(' '), `--outdir=${join(folder, 'page')}`, '--tsconfig-raw={}']
      await promisify(execFile)('node_modules/.bin/esbuild', args)
      const served = await servePage(
        { '/page.js': join(folder, 'page/page.js'), '/ort/': 'node_modules/onnxruntime-web/dist', '/model/': 'demo/base', '/': join(folder, 'page') }, // prettier-ignore
        { '/': readFileSync('examples/page/index.html', 'utf8') },
      )
      const browser = await browsers.launch({ executablePath: chromium!, args: ['--no-sandbox'] })
      try {
        const page = await browser.newPage()
        await page.goto(served.origin)
        await page.fill('#rows', ['hello', 'good day'].map((prompt) => JSON.stringify({ prompt: `${prompt}\n`, completion: 'Ahoy.' })).join('\n')) // prettier-ignore
        await page.fill('#prompt', 'hello')
        await page.click('#train')
        await page.waitForFunction("document.getElementById('train').disabled === false", undefined, { timeout: 150_000 })
        expect(await page.textContent('#state')).toBe(
          'done: my-adapter/adapter_model.safetensors, my-adapter/adapter_config.json',
        )
        expect(await page.textContent('#text')).toBe('Ahoy.')
      } finally {
        await browser.close()
        served.close()
      }
    },
    180_000,
  )
})
