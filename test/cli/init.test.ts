/** @file `lowrank init`: the file is one that `train --config` takes as it is, and with every line that is commented out. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { loraFieldTable } from '../../src/adapters/lora-fields.js'
import { commands, runCli } from '../../src/cli/app.js'
import { configTemplate } from '../../src/cli/config-template.js'
import { optionsFrom } from '../../src/cli/option-flags.js'
import { flagsOf, parseFlags } from '../../src/cli/parse.js'
import { trainOptionTable } from '../../src/train/option-table.js'
import { optionGroups } from '../../src/util/option-groups.js'
import type { AnyTable } from '../../src/util/option-table.js'

const folder = mkdtempSync(join(tmpdir(), 'lowrank-init-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const train = commands.find(({ name }) => name === 'train')!
const rows = { ...trainOptionTable, ...loraFieldTable } as unknown as AnyTable

/** The command line in this process. */
async function run(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  let [stdout, stderr] = ['', '']
  const code = await runCli(args, {
    stdout: { write: (text: string) => ((stdout += text), true) } as never,
    stderr: { write: (text: string) => ((stderr += text), true) } as never,
    env: {},
    version: '0',
    interrupted: new AbortController().signal,
  })
  return { code, stdout, stderr }
}

const OPTION = /^#?([a-z][\w-]*): /

describe('the text', () => {
  const lines = configTemplate({}).split('\n')

  it('has every flag of a run once, in the groups of the help', () => {
    const named = lines.flatMap((line) => OPTION.exec(line)?.[1] ?? [])
    const wanted = Object.entries(flagsOf(train)).flatMap(([name, { group }]) => (group === 'command' ? [] : [name]))
    expect([...named].sort()).toEqual(wanted.sort())
    const { command: _, ...groups } = optionGroups
    expect(lines.flatMap((line) => /^# --- (.*) ---$/.exec(line)?.[1] ?? [])).toEqual(Object.values(groups))
    for (const [i, line] of lines.entries()) if (OPTION.test(line)) expect(lines[i - 1], line).toMatch(/^# ./)
  })

  it('gives each option the default that it has anyway', () => {
    const file = join(folder, 'defaults.yaml')
    writeFileSync(file, lines.join('\n'))
    const { values, given } = parseFlags(train, ['--config', file])
    const plain = parseFlags(train, ['--model', values['model'] as string, '--data', 'train.jsonl', '--out', 'out']).values
    expect({ ...values, epochs: undefined }).toEqual({ ...plain, epochs: undefined, config: file })
    expect(values['epochs']).toBe(trainOptionTable.epochs.default)
    expect(given.has('lr') && given.has('r') && !given.has('use-dora')).toBe(true)
  })

  const commented = lines.filter((line) => /^#[a-z][\w-]*: /.test(line))

  it.each(commented.map((line) => [line]))('%s, uncommented', (line) => {
    const name = OPTION.exec(line)![1]!
    const file = join(folder, 'one.yaml')
    writeFileSync(file, lines.map((each) => (each === line ? line.slice(1) : each)).join('\n'))
    const { values, given } = parseFlags(train, ['--config', file])
    expect(given.has(name)).toBe(true)
    const options = { ...optionsFrom(trainOptionTable, values), ...optionsFrom(loraFieldTable, values) }
    for (const [option, value] of Object.entries(options)) {
      const row = rows[option]!
      if ('is' in row) expect(row.is.fits(value), `${option}: ${JSON.stringify(value)}`).toBe(true)
    }
  })

  it('has the values that are asked for, also of options that are comments otherwise', () => {
    const text = configTemplate({ model: 'a: b', data: ['x.csv', 'y.csv'], task: 'regression', threads: 3 }).split('\n')
    for (const line of ['model: "a: b"', 'data: [ x.csv, y.csv ]', 'task: regression', 'threads: 3']) expect(text).toContain(line)
  })
})

describe('lowrank init', () => {
  const data = join(folder, 'rows.jsonl')
  writeFileSync(data, Array.from({ length: 4 }, () => '{"prompt":"a","completion":"b"}\n').join(''))

  it('writes a file with which training begins', async () => {
    const file = join(folder, 'run.yaml')
    const out = join(folder, 'out')
    const made = await run('init', file, '--model', 'demo/base', '--data', data, '--out', out, '--objective', 'sft', '--json')
    expect([made.code, made.stderr]).toEqual([0, ''])
    expect(JSON.parse(made.stdout)).toEqual({ out: file })
    expect(readFileSync(file, 'utf8')).toContain('\nobjective: sft\n')
    const planned = await run('train', '--config', file, '--threads', '1', '--dry-run', '--json')
    expect([planned.code, planned.stderr]).toEqual([0, ''])
    expect(JSON.parse(planned.stdout)).toMatchObject({ event: 'plan', steps: 1 })
    expect(existsSync(out)).toBe(false)
  })

  it('replaces nothing unasked', async () => {
    const file = join(folder, 'kept.yaml')
    writeFileSync(file, 'r: 3\n')
    const refused = await run('init', file)
    expect(refused.code).toBe(1)
    expect(refused.stderr).toContain(`"${file}" is there already; give another name, or --overwrite to replace it.`)
    expect(readFileSync(file, 'utf8')).toBe('r: 3\n')
    expect((await run('init', file, '--overwrite')).code).toBe(0)
    expect(readFileSync(file, 'utf8')).toBe(configTemplate({}))
  })

  it('refuses a value that train would refuse, before it writes', async () => {
    const file = join(folder, 'never.yaml')
    const { code, stderr } = await run('init', file, '--task', 'poetry')
    expect([code, existsSync(file)]).toEqual([2, false])
    expect(stderr).toContain('--task must be one of causal-lm')
  })
})
