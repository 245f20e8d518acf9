/** @file The browser entry: bundles without Node, has Node's names, and trains in a real browser as the CPU does. */
import { build, type BuildResult } from 'esbuild'
import { builtinModules } from 'node:module'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import * as browser from '../../src/browser.js'
import * as node from '../../src/index.js'
import { chromium, runPage } from './chromium.js'
import type { PageResult } from './page.js'

const bundle = (entry: string, outdir: string): Promise<BuildResult<{ metafile: true }>> =>
  build({
    entryPoints: [entry],
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'browser',
    outdir,
    metafile: true,
    logLevel: 'silent',
  })

const temporary = (): string => mkdtempSync(join(tmpdir(), 'lowrank-browser-'))

const rows = Array.from(
  { length: 4 },
  (_, i) => `${JSON.stringify({ text: `name : the ${i} inn | food : thai | area : riverside` })}\n`,
)

describe('browser entry', () => {
  it('imports nothing of Node', async () => {
    const { metafile } = await bundle('src/browser.ts', temporary())
    // Of the hub a page reads data sets alone, by ranges; ids and refusals are told in the same words everywhere. Of reports it has
    // what is text alone: what adapters have learned, as pictures and a page.
    const ours = Object.entries(metafile.inputs).filter(([path]) => path.startsWith('src/'))
    expect(ours.length).toBeGreaterThan(50)
    const imported = Object.values(metafile.inputs).flatMap(({ imports }) => imports.map(({ path }) => path))
    expect(imported.filter((path) => path.startsWith('node:') || builtinModules.includes(path))).toEqual([])
    const strangers =
      /node-|src\/(cli|paper)\/|src\/report\/(?!analysis-page|similarity-picture|document|page\.|text\.)|src\/hub\/(?!dataset-|hub-)/
    expect(ours.map(([path]) => path).filter((path) => strangers.test(path))).toEqual([])
    for (const { imports } of Object.values(metafile.outputs)) expect(imports.filter((i) => i.external)).toEqual([])
  })

  it('is what package.json gives to bundlers, and has every name of the Node entry', () => {
    const { exports } = JSON.parse(readFileSync('package.json', 'utf8')) as { exports: { '.': { browser: { default: string } } } }
    expect(exports['.'].browser.default).toBe('./dist/browser.js')
    // The hub's cache, MPI and Node's environment are of Node alone, and so is what reads or sends folders of runs.
    const names = Object.keys(node).filter((name) => !name.startsWith('node') && !['push', 'report'].includes(name))
    expect(names.filter((name) => !(name in browser))).toEqual([])
  })

  it('refuses a device that a page does not have', async () => {
    await expect(browser.loadModel('model', { device: 'cuda' as 'wasm' })).rejects.toThrow(
      'device "cuda" does not exist in a browser; expected wasm or webgpu',
    )
  })
})

describe.skipIf(chromium === undefined)('in Chromium', () => {
  it.each(['wasm', 'webgpu'] as const)(
    'trains the demo model on %s as Node does on the CPU',
    async (device) => {
      const out = temporary()
      await bundle('test/browser/page.ts', out)
      const { result, error } = (await runPage(
        `device=${device}`,
        { '/js/': out, '/ort/': resolve('node_modules/onnxruntime-web/dist'), '/model/': resolve('demo/base') },
        { '/': '<!doctype html><script type="module" src="/js/page.js"></script>', '/rows.jsonl': rows.join('') },
      )) as { result?: PageResult; error?: string }
      expect(error).toBeUndefined()

      const data = join(out, 'rows.jsonl')
      writeFileSync(data, rows.join(''))
      const model = await node.loadModel('demo/base', { threads: 1 })
      const adapter = await node.addLora(model, { r: 4, alpha: 8, seed: 1 })
      const base = (await node.evaluate(model, { data })).loss
      const steps: node.StepEvent[] = []
      for await (const event of node.train(adapter, { data, steps: 3, batchSize: 2, learningRate: 1e-2, shuffle: false }))
        if (event.event === 'step') steps.push(event)
      const after = (await node.evaluate(adapter, { data })).loss

      expect(result!.losses).toHaveLength(3)
      for (const [i, step] of steps.entries()) {
        expect(Math.abs(result!.losses[i]! / step.loss - 1), `loss ${i}`).toBeLessThan(1e-3)
        expect(Math.abs(result!.gradNorms[i]! / step.gradNorm - 1), `gradient norm ${i}`).toBeLessThan(1e-3)
      }
      expect(result!.losses[2]).toBeLessThan(result!.losses[0]!)
      expect(Math.abs(result!.evaluation[0]! / base - 1)).toBeLessThan(1e-3)
      expect(Math.abs(result!.evaluation[1]! / after - 1)).toBeLessThan(1e-3)
      const options = { prompt: 'name', maxNewTokens: 8 }
      const texts = [
        await node.generate(adapter, options),
        await node.generate(model, options),
        await node.generate(adapter, { ...options, beams: 2 }),
      ].map(({ text }) => text)
      expect(result!.texts).toEqual(texts)
      expect(result!.warnings).toEqual([])
    },
    180_000,
  )
})
