/** @file `lowrank data`: what it prints for people and for programs, and how it ends. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { runCli } from '../../src/cli/app.js'
import { tokenLine } from '../../src/cli/data-view.js'
import { CHATML, writeChatModel } from '../support/chat-model.js'
import { temporaryFolder, writeRows } from '../support/training.js'

const work = temporaryFolder()
mkdirSync(join(work, 'm'))
const model = writeChatModel(join(work, 'm'), CHATML)

async function run(args: readonly string[], env: Record<string, string> = {}) {
  let [stdout, stderr] = ['', '']
  const code = await runCli(['data', ...args, '--model', model], {
    stdout: { write: (text: string) => (stdout += text) },
    stderr: { write: (text: string) => (stderr += text) },
    env,
    version: '0',
    interrupted: new AbortController().signal,
  })
  return { code, stdout, stderr }
}

const good = writeRows(join(work, 'good.jsonl'), [
  { prompt: 'one two\n', completion: ' three' },
  { prompt: 'one two\n', completion: ' four' },
])
const bad = join(work, 'bad.jsonl')
writeFileSync(bad, `{"text":"a"}\n${'{"txt":1}\n'.repeat(30)}`)

describe('lowrank data', () => {
  it('marks what is learned without colours, with white space as signs', async () => {
    const { code, stdout } = await run([good], { NO_COLOR: '1' })
    expect(code).toBe(0)
    expect(stdout).not.toContain('\u001b')
    const shown = stdout
      .split('\n')
      .slice(3, 6)
      .map((line) => line.replaceAll('¦', ''))
    expect(shown[0]).toMatch(/good\.jsonl:1 {2}\d+ tokens, \d+ learned$/)
    expect(shown.slice(1)).toEqual(['  one·two↵', '  [·three<|endoftext|>]'])
    expect(stdout).toMatch(/same input +1 input with several answers, in 2 rows/)
  })

  it('shows how many judged completions are desirable', async () => {
    const rows = [true, true, false].map((label, i) => ({ prompt: `say ${i}\n`, completion: ' so', label }))
    const { code, stdout } = await run([writeRows(join(work, 'judged.jsonl'), rows), '--objective', 'kto'])
    expect(code).toBe(0)
    expect(stdout).toMatch(/label \[desirable\]/)
    expect(stdout).toMatch(/undesirable +1 .*\n +desirable +2 /)
    expect(stdout).toContain('warning: there are 2 desirable and 1 undesirable rows')
  })

  it('takes several files, and with --json prints one object with every bad row', async () => {
    const { code, stdout, stderr } = await run([good, bad, '--json'])
    expect(code).toBe(1)
    expect(stderr).toBe('')
    const found = JSON.parse(stdout) as { data: { files: string[]; rows: number; usable: number; bad: { line: number }[] } }
    expect(found.data).toMatchObject({ files: [good, bad], rows: 33, usable: 3 })
    expect(found.data.bad.map(({ line }) => line)).toEqual(Array.from({ length: 30 }, (_, i) => i + 2))
  })

  it('names the first 20 bad rows for people, and how many more there are', async () => {
    const { code, stdout } = await run([bad])
    expect(code).toBe(1)
    expect(stdout).toContain('30 rows that a run would refuse:')
    expect(stdout.match(/^- .*bad\.jsonl, line \d+: /gm)).toHaveLength(20)
    expect(stdout).toContain('… and 10 more (--json lists all of them)')
  })

  it('needs a file and a model', async () => {
    expect(await run([])).toMatchObject({ code: 2, stderr: expect.stringMatching(/needs FILE…/) as string })
    expect(await run([join(work, 'none.jsonl')])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/none\.jsonl/) as string,
    })
  })

  it('tags stand behind their tokens, borders within words are told', () => {
    const plain = (text: string): string => text
    const color = { bold: plain, dim: plain, green: plain, yellow: plain, cyan: plain }
    const sequence = { ids: [1, 2, 3, 4], labels: null, tokens: ['<s>', 'An', 'na', ' runs'], special: [0] }
    expect(tokenLine({ ...sequence, learned: [[1, 2]], tags: [null, 'PER', null, null] }, color)).toBe('<s>[An/PER]na·runs')
    expect(tokenLine({ ...sequence, learned: [] }, color)).toBe('<s>An¦na·runs')
  })
})

describe('rows that came with Windows', () => {
  it('show their carriage returns', async () => {
    const file = writeRows(join(work, 'crlf.jsonl'), [{ text: 'a\r\n\tb' }])
    const { stdout } = await run([file])
    expect(stdout.replaceAll('¦', '')).toContain('[␍↵\n')
    expect(readFileSync(file, 'utf8')).toContain('\\r\\n')
  })
})
