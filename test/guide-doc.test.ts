/**
 * @file docs/guide.md as a reader follows it: every command in a shell, every block of TypeScript compiled and run, what it shows of
 * outputs compared with them, and every message that its table of errors quotes brought about. The demo, which takes as long as all the
 * rest, is run by the test of the package; where no registry can be reached, and that test is left out, it is run here.
 */
import { cpSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { DEMO_SEED, writeDemoRows } from '../src/cli/demo/write-rows.js'
import { nodeFiles } from '../src/io/node-files.js'
import { blocksOf, expectWalk } from './support/document.js'
import { inRegistry, TEMPLATE } from './support/registry.js'
import { Reader } from './support/reader.js'

const page = 'docs/guide.md'

describe.skipIf(process.platform === 'win32')(page, () => {
  const reader = new Reader()

  it('runs word for word', async () => {
    const isRunElsewhere = await inRegistry(TEMPLATE)
    if (isRunElsewhere) await writeDemoRows(nodeFiles(), reader.file('out/demo'), DEMO_SEED)
    const outputs = await reader.types(blocksOf('bash', page), isRunElsewhere ? { 'npm run demo': ':' } : {})
    expectWalk(outputs, page)
    // What was trained announces trains.
    expect(outputs.some((output) => /Night Train 666/.test(output))).toBe(true)
  }, 300_000)

  it('compiles and runs', async () => {
    const output = await reader.program('guide', blocksOf('ts', page).join('\n'))
    const numbers = output.split('\n').flatMap((line) => /^(?:\d+ )?(\d+\.\d+)$/.exec(line)?.[1] ?? []).map(Number) // prettier-ignore
    expect(numbers).toHaveLength(105)
    expect(numbers[99]!).toBeLessThan(numbers[0]! / 2)
  }, 300_000)

  it('says npx lowrank, which starts the program of the checkout', async () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }
    expect(await reader.shell('command npx lowrank --version')).toEqual({ code: 0, output: `${version}\n` })
  })

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
    const guide = readFileSync(page, 'utf8')
    const table = guide.slice(guide.indexOf('| message begins |')).split('\n').slice(2).filter((line) => line.startsWith('|')) // prettier-ignore
    expect(table).toHaveLength(mistakes.length)
    cpSync('test/fixtures/golden/peft/llama/model', reader.file('test-model'), { recursive: true })
    for (const [i, line] of table.entries()) {
      const quoted = /`([^`]+)`/
        .exec(line)![1]!
        .split('…')
        .filter((part) => part.trim() !== '')
      const { code, output } = await reader.shell(mistakes[i]!)
      expect(code).toBe(1)
      for (const part of quoted) expect(output).toContain(part)
    }
  }, 300_000)
})
