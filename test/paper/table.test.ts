/** @file Runs beside the paper: whose rows they stand under, their mean and deviation, and what is never filled in. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { nodeFiles } from '../../src/io/node-files.js'
import { writeRecord, type PaperRecord } from '../../src/paper/record.js'
import { compareWithPaper } from '../../src/paper/table/compare.js'
import { runCli } from '../cli/run-cli.js'
import { temporaryFolder } from '../support/training.js'

const e2e = (seed: number, BLEU: number, model = 'gpt2-medium'): PaperRecord => ({
  ...{ format: 'lowrank-paper-1', task: 'e2e', preset: 'e2e-gpt2-medium-lora', model, seed, trainedParameters: 393_216 },
  metrics: { test: { BLEU, NIST: 8.5, 'METEOR (exact, stem)': 0.45, ROUGE_L: 0.7, CIDEr: 2.4 } },
})
const glue = (task: 'mnli' | 'rte', seed: number, metrics: PaperRecord['metrics']): PaperRecord => ({
  ...{ format: 'lowrank-paper-1', task, preset: `roberta-base-${task}`, model: 'roberta-base', seed, trainedParameters: 294_912 },
  metrics,
})

describe('runs beside the paper', () => {
  it('have a row for each seed, and their mean with the deviation of a sample', () => {
    const [table] = compareWithPaper([e2e(2, 0.69), e2e(1, 0.68), e2e(3, 0.7)])
    const runs = table!.rows.filter(({ kind }) => kind === 'run' || kind === 'mean')
    expect(runs.map(({ name, cells }) => [name, cells['BLEU']])).toEqual([
      ['gpt2-medium, seed 1', '68.0'],
      ['gpt2-medium, seed 2', '69.0'],
      ['gpt2-medium, seed 3', '70.0'],
      ['gpt2-medium, mean ± deviation', '69.0 ± 1.0'],
    ])
    expect(runs[0]).toMatchObject({ parameters: '393,216', cells: { METEOR: '45.0', CIDEr: '2.40' } })
    expect(table!.notes).toEqual(["The runs' METEOR is METEOR (exact, stem)."])
  })

  it('stand under the published rows of their model, and what others got', () => {
    const [table] = compareWithPaper([e2e(1, 0.68)])
    const paper = table!.rows.filter(({ kind }) => kind === 'paper')
    expect(paper.every(({ name }) => name.includes('GPT-2 M'))).toBe(true)
    expect(paper.at(-1)).toMatchObject({ parameters: '0.35 M', cells: { BLEU: '70.4±.1', CIDEr: '2.53±.02' } })
    expect(table!.rows.find(({ kind }) => kind === 'others')).toMatchObject({ cells: { BLEU: '68.65 to 68.87' } })
    expect(table!.rows.some(({ kind }) => kind === 'mean')).toBe(false)
  })

  it('of GLUE share the row of a seed; a task that was not run is a dash, and no mean is made of the rest', () => {
    const [table] = compareWithPaper([
      glue('mnli', 0, { matched: { accuracy: 0.875 }, mismatched: { accuracy: 0.5 } }),
      glue('rte', 0, { dev: { accuracy: 0.8664 } }),
    ])
    const runs = table!.rows.filter(({ kind }) => kind === 'run')
    expect(runs).toHaveLength(1)
    expect(runs[0]!.cells).toEqual({ MNLI: '87.5', RTE: '86.6' })
    expect(table!.columns).toContain('average')
  })

  it('of two presets on one model are told apart', () => {
    const other = { ...glue('mnli', 0, { matched: { accuracy: 0.8 } }), preset: 'roberta-base-bitfit-mnli' }
    const [table] = compareWithPaper([glue('mnli', 0, { matched: { accuracy: 0.875 } }), other])
    const runs = table!.rows.filter(({ kind }) => kind === 'run')
    expect(runs.map(({ name, cells }) => [name, cells['MNLI']])).toEqual([
      ['roberta-base (roberta-base), seed 0', '87.5'],
      ['roberta-base (roberta-base-bitfit), seed 0', '80.0'],
    ])
  })

  it('that train another number of parameters have no mean with the others', () => {
    const [table] = compareWithPaper([e2e(1, 0.65), e2e(2, 0.67), { ...e2e(1, 0.7), trainedParameters: 354_823_168 }])
    const runs = table!.rows.filter(({ kind }) => kind === 'run' || kind === 'mean')
    expect(runs.map(({ name, parameters, cells }) => [name, parameters, cells['BLEU']])).toEqual([
      ['gpt2-medium, seed 1', '393,216', '65.0'],
      ['gpt2-medium, seed 2', '393,216', '67.0'],
      ['gpt2-medium, mean ± deviation', '393,216', '66.0 ± 1.4'],
      ['gpt2-medium, seed 1', '354,823,168', '70.0'],
    ])
  })

  it('are refused where two are one number of a table', async () => {
    const home = temporaryFolder()
    for (const [name, record] of Object.entries({ a: e2e(1, 0.65), b: e2e(1, 0.7), c: e2e(2, 0.7) })) {
      mkdirSync(join(home, name))
      await writeRecord(nodeFiles(), join(home, name), record)
    }
    expect((await runCli(['paper', 'table', home])).stderr).toMatch(
      /a.paper\.json and .*b.paper\.json are both e2e of e2e-gpt2-medium-lora on gpt2-medium with seed 1; name the folders/,
    )
    expect((await runCli(['paper', 'table', join(home, 'a'), join(home, 'c')])).stdout).toContain('67.5 ± 3.5')
  })

  it('are found in folders by the command, which prints Markdown, JSON or a page', async () => {
    const home = temporaryFolder()
    mkdirSync(join(home, 'runs/a/b'), { recursive: true })
    await writeRecord(nodeFiles(), join(home, 'runs/a/b'), e2e(1, 0.6543))
    const printed = await runCli(['paper', 'table', join(home, 'runs')])
    expect(printed.stdout).toContain('| gpt2-medium, seed 1 | 393,216 | 65.4 | 8.50 | 45.0 | 70.0 | 2.40 |')
    const page = join(home, 'table.html')
    expect(await runCli(['paper', 'table', join(home, 'runs'), '--html', page])).toMatchObject({ code: 0 })
    expect(readFileSync(page, 'utf8')).toContain('<td>65.4</td>')
    const written = async (...more: readonly string[]) => (await runCli(['paper', 'table', join(home, 'runs'), ...more])).stderr
    expect(await written('--html', page)).toContain('is there already')
    expect(await written('--html', page, '--overwrite')).toBe('')
    expect(await written('--html', join(home, 'runs/a/b/paper.json'), '--overwrite')).toContain('is a file that is read')
    expect(await written('--title', 'x')).toContain('--title and --overwrite are for the page of --html')
  })

  it('of a score that is not defined have a dash there: the correlation of predictions that are all the same', async () => {
    const home = temporaryFolder()
    await writeRecord(nodeFiles(), home, {
      ...glue('rte', 0, {}),
      task: 'stsb',
      metrics: { dev: { pearson: NaN, spearman: 0.5 } },
    })
    const { code, stdout } = await runCli(['paper', 'table', home])
    expect(code).toBe(0)
    expect(stdout).toContain(`| roberta-base, seed 0 | 294,912 |${' – |'.repeat(9)}\n`)
  })

  it('are refused where there is none, or a file is not of this version', async () => {
    const home = temporaryFolder()
    expect((await runCli(['paper', 'table', home])).stderr).toContain('holds no paper.json')
    writeFileSync(join(home, 'paper.json'), '{"task":"e2e"}')
    expect((await runCli(['paper', 'table', home])).stderr).toContain('is no record of this version')
    writeFileSync(join(home, 'paper.json'), JSON.stringify({ ...e2e(1, 1), task: 'wikisql' }))
    expect((await runCli(['paper', 'table', home])).stderr).toContain('"task" must be one of e2e, webnlg')
  })
})
