/** @file `lowrank score`: the files of both kinds, rows, and what is refused with its line. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { score, segmentsOfFiles } from '../../src/metrics/index.js'
import { runCli, temporaryFolder, type Result } from './run-cli.js'

const folder = temporaryFolder()
const file = (name: string, text: string): string => {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}
const run = (...args: string[]): Promise<Result> => runCli(['score', ...args])

const segments = [
  { hypothesis: 'A cat sat on the mat.', references: ['The cat sat on the mat.', 'A cat is on the mat.'] },
  { hypothesis: 'It is cheap.', references: ['It is cheap.', 'It is not dear.'] },
]
const hypotheses = file('hyps.txt', segments.map(({ hypothesis }) => `${hypothesis} \r\n`).join(''))
const groups = file('refs.txt', segments.map(({ references }) => references.join('\n')).join('\n\n'))
mkdirSync(join(folder, 'refs'))
for (const i of [0, 1]) file(`refs/reference${i}`, segments.map(({ references }) => `${references[i]}\n`).join(''))
const prefix = join(folder, 'refs/reference')
const scoresOf = (result: Result) => result.json()[0]!['scores'] as Record<string, { score: number; tokenizer: string }>

describe('files', () => {
  it('in groups, by the beginning of their names, in a folder, and as rows are the same segments', async () => {
    const rows = file('rows.jsonl', segments.map((row) => JSON.stringify(row)).join('\n'))
    const wanted = score(segments, ['bleu', 'ter'])
    for (const from of [
      ['--references', groups, '--hypotheses', hypotheses],
      ['--references', prefix, '--num-refs', '2', '--hypotheses', hypotheses],
      ['--references', join(folder, 'refs'), '--hypotheses', hypotheses],
      ['--data', rows],
    ]) {
      const result = await run(...from, '--metrics', 'bleu,ter', '--json')
      expect(result.stderr).toBe('')
      expect(result.json()[0]).toMatchObject({ segments: 2, scores: { bleu: { score: wanted.bleu!.score, tokenizer: '13a' } } })
      expect(scoresOf(result)['ter']!.score).toBe(wanted.ter!.score)
    }
  })

  it('for people: a table with the words that were compared', async () => {
    const { stdout } = await run('--references', groups, '--hypotheses', hypotheses, '--tokenizer', 'whitespace', '--lower')
    expect(stdout).toMatch(/^bleu +0\.\d{4} +BLEU +whitespace, small letters$/m)
    expect(stdout.match(/^(bleu|nist|rouge-l|cider) /gm)).toHaveLength(4)
  })

  it('segment by segment, a file that is replaced only when asked, and never one that is read', async () => {
    const out = join(folder, 'each.jsonl')
    const args = ['--references', prefix, '--num-refs', '2', '--hypotheses', hypotheses, '--metrics', 'bleu,multi-bleu']
    expect((await run(...args, '--per-segment', out)).code).toBe(0)
    const lines = readFileSync(out, 'utf8').trim().split('\n').map((line) => JSON.parse(line) as object) // prettier-ignore
    const each = score(segments, ['bleu']).bleu!.segments!
    expect(lines).toEqual(segments.map((segment, i) => ({ segment: i + 1, bleu: each[i]!.score, ...segment })))
    expect((await run(...args, '--per-segment', out)).stderr).toContain('is there already')
    expect((await run(...args, '--per-segment', out, '--overwrite')).code).toBe(0)
    expect((await run(...args, '--per-segment', `${prefix}1`, '--overwrite')).stderr).toContain('never replaced')
  })

  it('--official counts the end of the file, where there is one', async () => {
    const rate = async (hyps: string, ...flags: string[]): Promise<number> =>
      scoresOf(await run('--references', prefix, '--num-refs', '2', '--hypotheses', hyps, '--metrics', 'ter', '--json', ...flags))['ter']!.score // prettier-ignore
    const plain = await rate(hypotheses)
    expect(await rate(hypotheses, '--official')).toBeCloseTo((2 * plain + 1) / 3, 12)
    const open = file('open.txt', readFileSync(hypotheses, 'utf8').trimEnd())
    expect(await rate(open, '--official')).toBe(plain)
  })
})

describe('what does not fit', () => {
  const fails = async (message: RegExp, ...args: string[]): Promise<void> => {
    const { code, stderr } = await run(...args)
    expect(stderr).toMatch(message)
    expect(code).toBeGreaterThan(0)
  }

  it('is refused with the file and the line', async () => {
    const three = file('three.txt', 'a\nb\nc\n')
    await fails(/three\.txt, line 3: a hypothesis without references, for .*refs\.txt has only 2 groups/, '--references', groups, '--hypotheses', three) // prettier-ignore
    await fails(/three\.txt, line 3: a hypothesis without a reference, for .*reference0 has only 2 lines/, '--references', prefix, '--num-refs', '2', '--hypotheses', three) // prettier-ignore
    const one = file('one.txt', 'a\n')
    await fails(/refs\.txt, line 4: references without a hypothesis, for .*one\.txt has only 1 line\./, '--references', groups, '--hypotheses', one) // prettier-ignore
    await fails(
      /give the file as one of a list \(--num-refs 1\)|--num-refs 1/,
      '--references',
      three,
      '--hypotheses',
      file('same.txt', 'a\nb\nc'),
    )
    await fails(/gap\.txt, line 3: an empty line that ends no group/, '--references', file('gap.txt', 'a\n\n\nb\n'), '--hypotheses', one) // prettier-ignore
    await fails(/void\.txt is empty/, '--references', groups, '--hypotheses', file('void.txt', ''))
    await fails(/bad\.jsonl, line 2: "references" must be a text or a list of one or more, but reference 2 is null/, '--data', file('bad.jsonl', '{"hypothesis":"a","references":"a"}\n{"hypothesis":"a","references":["b",null]}')) // prettier-ignore
    await fails(/found the fields "text"; expected \{"hypothesis", "references"\}/, '--data', file('other.jsonl', '{"text":"a"}'))
  })

  it('of flags', async () => {
    await fails(/needs --references REFS and --hypotheses HYPS, or --data FILE/, '--hypotheses', hypotheses)
    await fails(/--data has references and hypotheses/, '--data', 'rows.jsonl', '--hypotheses', hypotheses)
    await fails(/there is no "blue"\. Did you mean bleu\?/, '--data', 'rows.jsonl', '--metrics', 'blue')
    await fails(/official is for other metrics than bleu/, '--references', groups, '--hypotheses', hypotheses, '--metrics', 'bleu', '--official') // prettier-ignore
    await fails(/--official is for text files/, '--data', 'rows.jsonl', '--metrics', 'ter', '--official')
    await fails(/--overwrite is for the file of --per-segment/, '--data', 'rows.jsonl', '--overwrite')
    expect(existsSync(join(folder, 'missing.txt'))).toBe(false)
    await fails(/missing\.txt/, '--references', groups, '--hypotheses', join(folder, 'missing.txt'))
  })
})

it('texts of files as the library takes them', () => {
  const text = (name: string) => ({ name, text: readFileSync(join(folder, name), 'utf8') })
  expect(segmentsOfFiles(text('hyps.txt'), text('refs.txt'))).toEqual(segments)
  expect(segmentsOfFiles(text('hyps.txt'), [text('refs/reference0'), text('refs/reference1')])).toEqual(segments)
  expect(segmentsOfFiles({ name: 'h', text: '\nb\n' }, [{ name: 'r', text: '\ufeffa\n\n' }])).toEqual([
    { hypothesis: '', references: ['a'] },
    { hypothesis: 'b', references: [''] },
  ])
})
