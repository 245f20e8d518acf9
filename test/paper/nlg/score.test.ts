/** @file The scores that measure_scores.py -p and eval.py print, and the command line of both. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { runCli } from '../../../src/cli/app.js'
import { bleu, meteor, multiBleu, ter, type Segment } from '../../../src/metrics/index.js'
import { scoreE2e, scoreGenerationEval, segmentTable } from '../../../src/paper/nlg/score.js'
import { temporaryFolder } from '../../support/training.js'

const segments: readonly Segment[] = [
  { hypothesis: 'a cat sat on the mat .', references: ['the cat sat on the mat .', 'a cat is on the mat .'] },
  { hypothesis: "it 's cheap and good , is it not ?", references: ['it is cheap and good , is it not ?', 'it is not dear .'] },
]
const modules = ['exact', 'stem'] as const
const rounded = (scores: readonly { readonly name: string; readonly score: number; readonly decimals: number }[]) =>
  Object.fromEntries(scores.map(({ name, score, decimals }) => [name, Number(score.toFixed(decimals))]))

const folder = temporaryFolder()
const at = (name: string): string => join(folder, name)
writeFileSync(at('hyps'), segments.map(({ hypothesis }) => `${hypothesis}\n`).join(''))
writeFileSync(at('refs'), segments.map(({ references }) => `${references.join('\n')}\n\n`).join(''))
mkdirSync(at('r'))
for (const i of [0, 1]) writeFileSync(at(`r/reference${i}`), segments.map(({ references }) => `${references[i]}\n`).join(''))

async function run(...args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const told = { stdout: '', stderr: '' }
  const stream = (name: keyof typeof told) => ({ write: (text: string) => ((told[name] += text), true) })
  const surroundings = { stdout: stream('stdout'), stderr: stream('stderr'), env: {}, version: '0', interrupted: new AbortController().signal } // prettier-ignore
  const code = await runCli(['paper', 'nlg', 'score', ...args], surroundings)
  return { code, ...told }
}
const METEOR = ['--meteor-modules', 'exact,stem']

describe("the E2E challenge's scorer", () => {
  it('has five scores, of words that are split for each as it splits them', () => {
    const scores = scoreE2e(segments, { modules })
    expect(scores.map(({ name }) => name)).toEqual(['BLEU', 'NIST', 'METEOR (exact, stem)', 'ROUGE_L', 'CIDEr'])
    expect(scores[0]!.score).toBe(bleu(segments).score)
    // The words of coco-caption have no full stop.
    expect(scores[2]!.score).toBe(meteor(segments, { modules, tokenizer: 'ptb' }).score)
    expect(scores[2]!.score).not.toBe(meteor(segments, { modules }).score)
    const lines = segmentTable(scores).split('\n')
    expect([lines[0], lines.length]).toEqual(['BLEU\tsentBLEU\tNIST\tMETEOR (exact, stem)\tROUGE_L\tCIDEr', 4])
    expect(lines[1]!.split('\t').slice(0, 2).map(Number)).toEqual(Object.values(bleu(segments).segments[0]!))
  })

  it('prints them as measure_scores.py does', async () => {
    const scores = rounded(scoreE2e(segments, { modules }))
    const lines = Object.entries(scores).map(([name, score]) => `${name}: ${score.toFixed(4)}`)
    const found = await run('e2e', at('refs'), at('hyps'), '-p', ...METEOR, '-l', at('each.tsv'))
    expect(found).toEqual({ code: 0, stdout: `SCORES:\n==============\n${lines.join('\n')}\n`, stderr: '' })
    expect(readFileSync(at('each.tsv'), 'utf8')).toBe(segmentTable(scoreE2e(segments, { modules })))
    const table = await run('e2e', at('refs'), at('hyps'), '-p', '-t', '-H', ...METEOR)
    expect(table.stdout).toBe(
      `File\t${Object.keys(scores).join('\t')}\n${at('hyps')}\t${Object.values(scores).map((s) => s.toFixed(4)).join('\t')}\n`, // prettier-ignore
    )
    const json = JSON.parse((await run('e2e', at('refs'), at('hyps'), '-p', '--json', ...METEOR)).stdout) as object
    expect(json).toMatchObject({ segments: 2, scores: { BLEU: bleu(segments).score } })
  })

  it('refuses what it would not read', async () => {
    const usage = async (args: readonly string[], message: string) =>
      expect(await run('e2e', at('refs'), at('hyps'), ...args)).toMatchObject({ code: 2, stderr: expect.stringContaining(message) as string }) // prettier-ignore
    await usage([], 'give --python (-p)')
    await usage(['-p', '-H'], '--header is for --table.')
    await usage(['-p', '--overwrite'], '--overwrite is for the file of --sent-level.')
    const there = await run('e2e', at('refs'), at('hyps'), '-p', '-l', at('refs'), '--overwrite')
    expect(there.stderr).toContain('is a file that is read, which is never replaced')
  })
})

describe('GenerationEval', () => {
  it('has its scores in its order, and a rate of 1 for the end of files', () => {
    const scores = scoreGenerationEval(segments, ['ter', 'bleu', 'chrf++', 'meteor'], { modules }, true)
    expect(scores.map(({ name }) => name)).toEqual(['BLEU', 'BLEU NLTK', 'METEOR (exact, stem)', 'chrF++', 'TER'])
    expect(scores[0]!.score).toBe(100 * multiBleu(segments).score)
    const rate = ter(segments).score
    expect(scores[4]!.score).toBeCloseTo((2 * rate + 1) / 3, 12)
    expect(scoreGenerationEval(segments, ['ter'], {}, false)[0]!.score).toBe(rate)
  })

  it('takes the flags of eval.py, the short ones too', async () => {
    const files = ['-R', at('r/reference'), '-H', at('hyps'), '-nr', '2']
    const scores = rounded(scoreGenerationEval(segments, ['bleu', 'ter'], {}, true))
    const { stdout, code } = await run('webnlg', ...files, '-m', 'bleu,ter')
    expect([code, stdout.split('\n')[2]!.trim().split(/ +/).map(Number)]).toEqual([0, Object.values(scores)])
    const one = await run('dart', '--reference', at('r/reference0'), '-H', at('hyps'), '-nr', '1', '-m', 'chrf++', '--json')
    expect(JSON.parse(one.stdout)).toMatchObject({ segments: 2, scores: { 'chrF++': expect.any(Number) as number } })
    expect((await run('webnlg', ...files, '-m', 'bleu,bert')).stderr).toContain('"bert" is told by a network that is not here')
    expect((await run('webnlg', ...files, '-m', 'blue')).stderr).toContain(
      'there is no "blue"; there are bleu, meteor, chrf++, ter',
    )
  })
})
