/**
 * @file Arguments to values: defaults, repetition, negative numbers, lists and mappings in each of their notations, and
 * refusals.
 */
import { describe, expect, it } from 'vitest'
import { InvalidOptionError } from '../errors.js'
import { resolveTrainOptions, trainOptionTable } from '../train/option-table.js'
import { commands, runCli } from './app.js'
import type { Command } from './flags.js'
import { optionsFrom } from './option-flags.js'
import { parseFlags } from './parse.js'
import { UsageError } from './usage-error.js'
import { readValue } from './values.js'
import { commandHelp } from './help.js'

const command = (name: string): Command => commands.find((c) => c.name === name)!
const train = (...args: string[]) => parseFlags(command('train'), ['--model', 'm', '--data', 'd', '--out', 'o', ...args])

describe('parseFlags', () => {
  it('fills defaults, and tells given from defaulted', () => {
    const { values, given } = train('--lr', '1e-3')
    expect(values).toMatchObject({ model: 'm', data: ['d'], lr: 1e-3, r: 8, alpha: 16, resume: false, seed: 0, device: 'cpu' })
    expect(values['adapter']).toBeUndefined()
    expect([...given].sort()).toEqual(['data', 'lr', 'model', 'out'])
  })

  it("answers another program's word for a task with ours", () => {
    expect(() => train('--task', 'text-classification')).toThrow(
      /got "text-classification"\. Did you mean "sequence-classification"\?$/,
    )
    expect(() => train('--task', 'sequence_classification')).toThrow(/Did you mean "sequence-classification"\?$/)
    expect(() => train('--task', 'poetry')).toThrow(/got "poetry"\.$/)
  })

  it.each([
    ['--data', 'each line of stdin is then a text'],
    ['--out', 'predictions are then printed'],
  ])('says what stands for %s -', async (flag, advice) => {
    let stderr = ''
    const write = (text: string) => ((stderr += text), true)
    const streams = { stdout: { write }, stderr: { write } } as never as Record<'stdout' | 'stderr', never>
    const around = { env: {}, version: '0', interrupted: new AbortController().signal }
    expect(await runCli(['predict', '--model', 'nowhere', flag, '-'], { ...streams, ...around })).toBe(2)
    expect(stderr).toContain(advice)
  })

  it('takes several files after one flag or by repeating it', () => {
    expect(train('--eval-data', 'a', 'b', '--eval-data', 'c').values['eval-data']).toEqual(['a', 'b', 'c'])
  })

  it('takes values with an equals sign, negative numbers and switches with a value', () => {
    const { values } = train('--alpha', '-2', '--resume=false', '--no-shuffle')
    expect(values).toMatchObject({ alpha: -2, resume: false, 'no-shuffle': true })
    expect(parseFlags(command('generate'), ['--model', 'm', '--prompt=--x']).values['prompt']).toBe('--x')
  })

  it('leaves a switch open whose option has no default, so that the library decides', () => {
    const resolved = (...args: string[]) => {
      const options = optionsFrom(trainOptionTable, train(...args).values)
      return resolveTrainOptions({ ...options, data: 'd' })
    }
    expect(train().values['keep-best']).toBeUndefined()
    expect(resolved('--early-stopping', '2', '--eval-data', 'v').keepBest).not.toBe(false)
    expect(resolved('--metric-for-best', 'accuracy').greaterIsBetter).toBeUndefined()
    expect(resolved('--greater-is-better=false').greaterIsBetter).toBe(false)
    expect(resolved('--keep-best').keepBest).toBe(true)
    expect(() => resolved('--early-stopping', '2', '--eval-data', 'v', '--keep-best=false')).toThrow(/keepBest: false/)
  })

  it('refuses a flag given twice, and takes --help before anything missing', () => {
    expect(() => train('--lr', '1', '--lr', '2')).toThrow(/--lr is given twice/)
    expect(parseFlags(command('train'), ['-h']).help).toBe(true)
  })
})

describe('readValue', () => {
  const read = (type: 'modules' | 'mapping' | 'integers' | 'names' | 'constants' | 'texts' | 'number', value: unknown): unknown =>
    readValue(value, { type, help: '' }, '--x')

  it('tells names from all-linear and from a regular expression', () => {
    expect(read('modules', 'q_proj, v_proj')).toEqual(['q_proj', 'v_proj'])
    expect(read('modules', 'layers.0.self_attn.q_proj')).toEqual(['layers.0.self_attn.q_proj'])
    expect(read('modules', 'all-linear')).toBe('all-linear')
    expect(read('modules', '.*\\.(q|v)_proj')).toBe('.*\\.(q|v)_proj')
    expect(read('modules', ['a'])).toEqual(['a'])
  })

  it('reads constants as a list, as JSON and from YAML', () => {
    expect(read('constants', 'sr=16000, flag=true,offsets=[0, 1],x=-0.5')).toEqual({
      sr: 16000,
      flag: true,
      offsets: [0, 1],
      x: -0.5,
    })
    expect(read('constants', '{"sr": 16000, "h": [true]}')).toEqual({ sr: 16000, h: [true] })
    expect(read('constants', { sr: 16000 })).toEqual({ sr: 16000 })
    for (const wrong of ['sr', 'sr=', '=1', 'sr=high', 'sr="high"', 'sr=[[1]]', 'sr=[1', '{sr:1}', '[1]', 3])
      expect(() => read('constants', wrong), String(wrong)).toThrow(UsageError)
  })

  it('reads mappings as JSON, as a list and from YAML', () => {
    expect(read('mapping', '{"q_proj": 16, "a,b=c": 2}')).toEqual({ q_proj: 16, 'a,b=c': 2 })
    expect(read('mapping', 'q_proj=16, layers.[01].v=4')).toEqual({ q_proj: 16, 'layers.[01].v': 4 })
    expect(read('mapping', { q_proj: 16 })).toEqual({ q_proj: 16 })
    for (const wrong of ['q_proj', 'q_proj=x', '{"a"', '=4', '{"a":"x"}', 3])
      expect(() => read('mapping', wrong)).toThrow(UsageError)
  })

  it('reads lists of numbers and names', () => {
    expect(read('integers', '0,2')).toEqual([0, 2])
    expect(read('integers', 3)).toEqual([3])
    expect(() => read('integers', '0,x')).toThrow(/--x must be a whole number of at least 0, got "x"/)
    expect(() => read('names', 'a,,b')).toThrow('--x must be names separated by commas, or a list of names, got "a,,b"')
    expect(() => read('names', ['a', 3])).toThrow('entry 2 of --x must be a name, got 3')
    expect(() => read('names', [])).toThrow('--x must be a list of at least one name, got []')
    expect(() => read('texts', ['a', ''])).toThrow('entry 2 of --x must be a text, got ""')
    expect(() => read('texts', 3)).toThrow('--x must be a text or a list of texts, got 3')
    expect(() => read('integers', { a: 1 })).toThrow(
      '--x must be whole numbers separated by commas, or a list of them, got {"a":1}',
    )
    expect(() => read('number', Number.NaN)).toThrow('--x must be a number, got NaN')
    expect(() => read('number', -Infinity)).toThrow('--x must be a number, got -Infinity')
  })

  it('takes no common flag that the command would not read', () => {
    const report = commands.find(({ name }) => name === 'report')!
    expect(() => parseFlags(report, ['run', '--seed', '3'])).toThrow('lowrank report: unknown flag "--seed".')
    expect(commandHelp(report)).not.toMatch(/--(device|threads|seed)/)
    expect(parseFlags(report, ['run', '--json']).values['json']).toBe(true)
  })

  it('refuses what is not supported yet, and only that', () => {
    const flag = { type: 'text', help: '', choices: ['fp32', 'int8'], notYet: ['int8'] } as const
    expect(readValue('fp32', flag, '--base')).toBe('fp32')
    expect(() => readValue('int8', flag, '--base')).toThrow(InvalidOptionError)
    expect(readValue(false, { type: 'switch', help: '', notYet: 'all' }, '--use-dora')).toBe(false)
  })
})
