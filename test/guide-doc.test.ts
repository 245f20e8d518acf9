/**
 * @file docs/guide.md as a reader follows it: every command in a shell, every block of TypeScript compiled and run, one after the
 * other, in a clone of their own; and every message that its table of errors quotes is brought about.
 */
import { execFile } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'

const guide = readFileSync('docs/guide.md', 'utf8')
const blocks = [...guide.matchAll(/^```(bash|ts|python)\n([\s\S]*?)^```/gm)].map(([, language, text]) => ({
  language,
  text: text!,
}))
const clone = mkdtempSync(join(tmpdir(), 'lowrank-guide-'))
afterAll(() => rmSync(clone, { recursive: true, force: true }))

interface Result {
  readonly code: number
  readonly output: string
}

/** What a shell does with some lines, in the clone; stops at the first that fails. */
const shell = (lines: string): Promise<Result> =>
  new Promise((done) => {
    const child = execFile('bash', ['-e'], { cwd: clone, maxBuffer: 2 ** 26 }, (error, stdout, stderr) =>
      done({ code: error === null ? 0 : Number(error.code ?? 1), output: stdout + stderr }),
    )
    child.stdin!.end(lines)
  })

describe.skipIf(process.platform === 'win32')('docs/guide.md', () => {
  it('runs word for word', async () => {
    for (const name of ['src', 'scripts', 'demo', 'package.json', 'tsconfig.json', 'tsconfig.build.json']) cpSync(name, join(clone, name), { recursive: true }) // prettier-ignore
    symlinkSync(resolve('node_modules'), join(clone, 'node_modules'))
    const bash = blocks.filter(({ language }) => language === 'bash').map(({ text }) => text)
    expect(bash[0]).toBe('npm ci && npm run build\n')
    const outputs: string[] = []
    // The packages are there already.
    for (const text of ['npm run build\n', ...bash.slice(1)]) {
      const { code, output } = await shell(text)
      expect(code, `${text}\n${output}`).toBe(0)
      outputs.push(output)
    }
    // What was trained announces trains.
    expect(outputs.some((output) => /Night Train 666/.test(output))).toBe(true)

    const code = blocks.filter(({ language }) => language === 'ts').map(({ text }) => text)
    expect(code.length).toBeGreaterThan(1)
    writeFileSync(join(clone, 'guide.ts'), code.join('\n'))
    const compiled = await shell('npx tsc --target es2022 --module nodenext --strict --skipLibCheck guide.ts')
    expect(compiled, compiled.output).toMatchObject({ code: 0 })
    const run = await shell('node guide.js')
    expect(run, run.output).toMatchObject({ code: 0 })
    const numbers = run.output.split('\n').flatMap((line) => /^(?:\d+ )?(\d+\.\d+)$/.exec(line)?.[1] ?? []).map(Number) // prettier-ignore
    expect(numbers).toHaveLength(105)
    expect(numbers[99]!).toBeLessThan(numbers[0]! / 2)
  }, 600_000)

  /** What brings each message of the table about, in its order. */
  const mistakes = [
    `printf '%s\\n' '{"prompt":"one two three four five six seven eight","completion":"nine"}' > long.jsonl
     npx lowrank train --model demo/base --data long.jsonl --out out/e1 --max-length 4 --steps 1`,
    'npx lowrank train --model demo/base --data out/demo/train.jsonl --out out/e2 --target-modules q_porj --steps 1',
    'npx lowrank train --model demo/base --data out/demo/train.jsonl --eval-data out/demo/eval.jsonl --out out/mine --target-modules all-linear --r 8 --alpha 16 --lr 1e-3 --steps 100 --eval-every 50 --checkpoint-every 50 --resume',
    'npx lowrank eval --model test-model --adapter out/mine --data out/demo/eval.jsonl',
    'npx lowrank train --model demo/base --data out/demo/train.jsonl --out out/mine --steps 1',
  ]

  it('quotes messages as they are', async () => {
    const table = guide.slice(guide.indexOf('| message begins |')).split('\n').slice(2).filter((line) => line.startsWith('|')) // prettier-ignore
    expect(table).toHaveLength(mistakes.length)
    cpSync('test/fixtures/golden/peft/llama/model', join(clone, 'test-model'), { recursive: true })
    for (const [i, line] of table.entries()) {
      const quoted = /`([^`]+)`/
        .exec(line)![1]!
        .split('…')
        .filter((part) => part.trim() !== '')
      const { code, output } = await shell(mistakes[i]!)
      expect(code).toBe(1)
      for (const part of quoted) expect(output).toContain(part)
    }
  }, 120_000)
})
