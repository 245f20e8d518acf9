/** @file "Predictions" of docs/heads.md as a reader follows it: its commands in a shell, its TypeScript run, on tiny models. */
import { build } from 'esbuild'
import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, describe, expect, it } from 'vitest'

const run = promisify(execFile)
const section = readFileSync('docs/heads.md', 'utf8').split('\n## ').find((part) => part.startsWith('Predictions\n'))! // prettier-ignore
const block = (language: string): string => new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\``, 'm').exec(section)![1]!
const folder = mkdtempSync(join(tmpdir(), 'lowrank-heads-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const models = { classifier: 'predict/classes', tagger: 'predict/tags', reader: 'predict/answers', embedder: 'sentence/bert' }
for (const [name, from] of Object.entries(models)) cpSync(join('test/fixtures', from), join(folder, name), { recursive: true })
writeFileSync(join(folder, 'new.jsonl'), '{"id":1,"text":"Ada lives in London"}\n{"id":2,"tokens":["Ada","lives"]}\n')
writeFileSync(join(folder, 'questions.csv'), 'question,context\nwho lives?,"Ada lives in London, near the river"\n')
writeFileSync(join(folder, 'lines.txt'), 'Ada lives in London\nthe soup was cold\n')

const text = (name: string): string => readFileSync(join(folder, name), 'utf8')

describe.skipIf(process.platform === 'win32')('docs/heads.md, Predictions', () => {
  it('its commands', async () => {
    const program = `lowrank() { ${JSON.stringify(process.execPath)} ${JSON.stringify(resolve('dist/cli/main.js'))} "$@"; }\n`
    const { stdout } = await run('bash', ['-e', '-c', program + block('bash')], { cwd: folder })
    expect(stdout.split('\n').slice(0, 2).map((line) => line.split('\t')[2])).toEqual(['the soup was cold', 'where is the key']) // prettier-ignore
    const [first, second] = text('tagged.jsonl').trim().split('\n').map((line) => JSON.parse(line) as Record<string, { words: object[] }>) // prettier-ignore
    expect([first!['id'], first!['prediction']!.words.length]).toEqual([1, 4])
    expect([second!['id'], second!['prediction']!.words.length]).toEqual([2, 2])
    expect(text('answered.csv').split('\n')[0]).toBe(
      'question,context,prediction.answer,prediction.score,prediction.start,prediction.end,prediction.answers',
    )
  }, 120_000)

  it('its program', async () => {
    const bundles = resolve('.cache/test/heads')
    mkdirSync(bundles, { recursive: true })
    const [source, outfile] = [join(bundles, 'heads.ts'), join(bundles, 'heads.mjs')]
    writeFileSync(source, block('ts'))
    await build({ entryPoints: [source], outfile, format: 'esm', platform: 'node', target: 'node20', tsconfigRaw: {} })
    const { stdout } = await run(process.execPath, [outfile], { cwd: folder })
    const lines = stdout.trim().split('\n')
    expect(lines).toHaveLength(4)
    expect(lines[0]).toMatch(/^(praise|complaint|question) 0\.\d+$/)
    for (const line of lines.slice(1, 3)) expect((JSON.parse(line) as { scores: object[] }).scores).toHaveLength(1)
    expect(Number(lines[3])).not.toBeNaN()
  }, 120_000)
})
