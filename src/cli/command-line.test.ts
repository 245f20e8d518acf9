/** @file A command line as a shell reads it back, without the secrets that were in it. */
import { execFileSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { commandLine } from './command-line.js'

describe('a command line', () => {
  it('is read back by a shell as it was', () => {
    const args = [
      'train',
      '--data',
      'my rows.jsonl',
      "it's",
      '$HOME `date` "x" \\',
      '~/a',
      '',
      'two\nlines',
      'lr=1e-4',
      'ü',
      '*',
      '#',
    ]
    const line = commandLine(args)
    expect(line.startsWith("lowrank train --data 'my rows.jsonl' ")).toBe(true)
    const shown = execFileSync('sh', ['-c', `lowrank() { printf '%s\\0' "$@"; }; ${line}`], { encoding: 'utf8' })
    expect(shown.split('\0').slice(0, -1)).toEqual(args)
  })

  it('holds no token and no password', () => {
    const line = commandLine(['hf_abcdefghij1234', 'http://me:pass@host/x?write_token=abc&y=1', '--api-key=abc', 'API_KEY=q'])
    expect(line).toBe("lowrank 'hf_…' 'http://…@host/x?write_token=…&y=1' '--api-key=…' 'API_KEY=…'")
    expect(commandLine(['--model', 'risk-taker_model/hf_x', '--tokens=3'])).toBe(
      'lowrank --model risk-taker_model/hf_x --tokens=3',
    )
  })
})
