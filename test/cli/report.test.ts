/** @file `lowrank report`, and the report of a run: what was asked, in the words of the command line, and several runs beside each other. */
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { report } from '../../src/index.js'
import { goldenRows } from './golden-rows.js'
import { golden, runCli, temporaryFolder } from './run-cli.js'

const folder = temporaryFolder()
const rows = join(folder, "it's rows.jsonl")
const first = join(folder, 'first')
const second = join(folder, 'second')
const args = (out: string, ...more: string[]): string[] => [
  ...['train', '--model', join(golden, 'llama', 'model'), '--data', rows, '--out', out, '--steps', '2', '--batch-size', '2'],
  ...more,
]

beforeAll(async () => {
  writeFileSync(rows, await goldenRows('llama'))
  for (const [out, ...more] of [
    [first, '--lr', '1e-3'],
    [second, '--lr', '1e-2', '--no-model-card'],
  ] as const)
    expect((await runCli(args(out, ...more))).code).toBe(0)
})

/** The rows of a page's tables: names and cells. */
const rowsOf = (html: string): string[][] =>
  [...html.matchAll(/<tr[^>]*>(.*?)<\/tr>/gs)].map(([, row]) => [...row!.matchAll(/<t[hd][^>]*>(.*?)<\/t[hd]>/gs)].map(([, cell]) => cell!)) // prettier-ignore

describe('the report of a run', () => {
  it('has every setting, defaults too, and the command as a shell reads it', () => {
    const html = readFileSync(join(first, 'report.html'), 'utf8')
    const told = rowsOf(html)
    for (const row of [['learningRate', '0.001'], ['steps', '2'], ['weightDecay', '0'], ['r', '8'], ['base', 'fp32'], ['seed', '0']]) expect(told).toContainEqual(row) // prettier-ignore
    const command = /<h2>Command<\/h2><pre>(.*?)<\/pre>/s.exec(html)![1]!
    expect(command).toContain('lowrank train --model ')
    expect(command).toContain(
      ` --data &#39;${join(folder, 'it')}&#39;\\&#39;&#39;s rows.jsonl&#39; --out ${first} --steps 2 --batch-size 2 --lr 1e-3`,
    )
  })
})

describe('lowrank report', () => {
  it('lays runs over each other in one file', async () => {
    const out = join(folder, 'compared.html')
    const { code, stdout, stderr } = await runCli(['report', first, second, '--out', out, '--json'])
    expect([code, stderr, JSON.parse(stdout)]).toEqual([0, '', { out, runs: [first, second] }])
    const html = readFileSync(out, 'utf8')
    expect(html).toContain('<h1>lowrank: first, second</h1>')
    expect(html).toContain('"name":"first"')
    expect(html).toContain('"name":"second"')
    const told = rowsOf(html)
    expect(told).toContainEqual(['learningRate', '0.001', '0.01'])
    expect(told).toContainEqual(['modelCard', 'true', 'false'])
    expect(html.match(/class="differs"/g)!.length).toBeGreaterThanOrEqual(3)
    // Its own page may be written anew.
    expect((await runCli(['report', first, '--out', out, '--title', 'Anew'])).code).toBe(0)
    expect(readFileSync(out, 'utf8')).toContain('<h1>Anew</h1>')
  })

  it('shows what there is of a run that is being written, and one of a version that kept no settings', async () => {
    const killed = join(folder, 'killed')
    mkdirSync(killed)
    const [start, step] = readFileSync(join(first, 'log.jsonl'), 'utf8').split('\n')
    writeFileSync(join(killed, 'log.jsonl'), `${start}\n${step}\n`)
    appendFileSync(join(killed, 'log.jsonl'), '{"event":"st')
    const html = await report(killed)
    expect(html).toContain('<dd>unfinished</dd>')
    expect(html).toContain('<dd>1 of 2</dd>')
  })

  it('refuses what is no run, no option, and a file that is not its own', async () => {
    const wrong = await runCli(['report', folder])
    expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringContaining(`"${folder}" holds no run: log.jsonl is missing`)])
    const notes = join(folder, 'notes.html')
    writeFileSync(notes, 'mine')
    const refused = await runCli(['report', first, '--out', notes])
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('is there already and is no report of lowrank')])
    expect(readFileSync(notes, 'utf8')).toBe('mine')
    for (const read of ['log.jsonl', 'run.json']) {
      const replaced = await runCli(['report', second, first, '--out', join(first, read), '--overwrite'])
      expect([replaced.code, replaced.stderr]).toEqual([
        1,
        expect.stringContaining('is a file that is read, which is never replaced'),
      ])
    }
    expect((await runCli(['report'])).code).toBe(2)
    const log = join(folder, 'log.jsonl')
    for (const damaged of ['no json', '7', '{"step":1}']) {
      writeFileSync(log, `{"event":"start"}\n\n${damaged}\n`)
      await expect(report(folder)).rejects.toThrow(
        `${log}, line 3 is no event of a run: ${damaged}. The log is damaged there; take the line out, or train again.`,
      )
    }
    await expect(report([])).rejects.toThrow('at least one folder')
  })
})
