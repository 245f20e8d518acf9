/** @file `lowrank analyze` on PEFT's own adapters: tables, JSON, page and pictures, and what is refused. */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { golden, runCli, temporaryFolder } from './run-cli.js'

const folder = temporaryFolder()
const place = (name: string): string => join(folder, name)
const model = ['--model', join(golden, 'llama/model')]
const adapter = join(golden, 'llama/adapter-trained')

it('prints a row for each layer, and the same as JSON', async () => {
  const found = await runCli(['analyze', adapter, ...model, '--amplification', '--json'])
  expect(found.stderr).toBe('')
  const [{ adapters }] = found.json() as [{ adapters: { name: string; layers: { module: string; amplification: object }[] }[] }]
  expect(adapters.map(({ name }) => name)).toEqual(['adapter-trained'])
  const [first] = adapters[0]!.layers
  expect(Object.keys(first!)).toEqual([
    ...[
      'module',
      'r',
      'scale',
      'singularValues',
      'rank',
      'effectiveRank',
      'stableRank',
      'frobenius',
      'spectral',
      'amplification',
    ],
  ])
  const table = await runCli(['analyze', adapter, ...model])
  for (const { module } of adapters[0]!.layers) expect(table.stdout).toContain(module)
  expect(table.stdout).not.toContain('factor')
})

it('compares two adapters: a page, and a picture of each layer', async () => {
  const [html, svg] = [place('shared.html'), place('maps')]
  const other = place('other')
  cpSync(adapter, other, { recursive: true })
  const run = ['analyze', adapter, other, ...model, '--html', html, '--svg', svg]
  const { code, stdout } = await runCli(run)
  expect(code).toBe(0)
  expect(stdout).toContain('A: φ(1, 1)')
  const files = readdirSync(svg)
  expect(files.length).toBeGreaterThan(1)
  expect(readFileSync(html, 'utf8').match(/<svg /g)).toHaveLength(files.length)
  expect(readFileSync(join(svg, files[0]!), 'utf8')).toMatch(/^<svg [\s\S]*<\/svg>\n$/)
  const again = await runCli(run)
  expect([again.code, again.stderr]).toEqual([1, expect.stringContaining(`"${html}" is there already.`)])
  const pictures = await runCli(['analyze', adapter, other, ...model, '--svg', svg])
  expect([pictures.code, pictures.stdout]).toEqual([1, ''])
  expect(pictures.stderr).toContain('.svg" is there already.')
  expect((await runCli([...run, '--overwrite', '--json'])).json()[0]).toMatchObject({
    comparisons: [{ names: ['adapter-trained', 'other'] }],
  })
})

it.each<[string, string[], string]>([
  ['--svg of one adapter', ['--svg', place('one')], '--svg shows what two adapters share; name another one'],
  ['--overwrite of nothing', ['--overwrite'], '--overwrite is for the files of --html and --svg'],
])('refuses %s', async (_, flags, message) => {
  const { code, stderr } = await runCli(['analyze', adapter, ...model, ...flags])
  expect([code, stderr]).toEqual([1, expect.stringContaining(message)])
  expect(existsSync(place('one'))).toBe(false)
})

it('never writes over an adapter', async () => {
  const own = place('own')
  mkdirSync(own)
  cpSync(adapter, own, { recursive: true })
  const { stderr } = await runCli(['analyze', own, ...model, '--html', join(own, 'adapter_config.json'), '--overwrite'])
  expect(stderr).toContain('is a file that is read, which is never replaced')
})
