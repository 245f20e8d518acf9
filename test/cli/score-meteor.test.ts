/** @file `lowrank score --metrics meteor`: where its data are, what the score is called, and what is refused before any work. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { expect, it } from 'vitest'
import { runCli, temporaryFolder, type Result } from './run-cli.js'

const folder = temporaryFolder()
const put = (name: string, content: string | Uint8Array): string => {
  const path = join(folder, name)
  mkdirSync(join(path, '..'), { recursive: true })
  writeFileSync(path, content)
  return path
}
const references = put('refs.txt', 'A comfortable pub close to it.\n')
const hypotheses = put('hyps.txt', 'A cosy pub near it.\n')
for (const part of ['noun', 'verb', 'adv']) put(`wordnet/index.${part}`, '  1 WordNet 3.0 Copyright 2006 by nobody.  \n')
put('wordnet/index.adj', 'cosy a 1 1 & 1 0 00000001  \ncomfortable a 1 1 & 1 0 00000001  \n')
for (const part of ['noun', 'verb', 'adj', 'adv']) put(`wordnet/${part}.exc`, '')
put('data/paraphrase-en.gz', gzipSync('0.4\nclose to\nnear\n'))
const wordnet = ['--wordnet', join(folder, 'wordnet')]
const data = ['--meteor-data', join(folder, 'data')]

const run = (...flags: string[]): Promise<Result> =>
  runCli(['score', '--references', references, '--hypotheses', hypotheses, ...flags])
const scoreOf = async (...flags: string[]): Promise<{ name: string; score: number; tokenizer: string }> => {
  const result = await run('--metrics', 'meteor', ...flags, '--json')
  expect(result.stderr).toBe('')
  return (result.json()[0]!['scores'] as { meteor: { name: string; score: number; tokenizer: string } }).meteor
}

it('scores with what there is, and says so by its name', async () => {
  const [stems, synonyms, all] = [
    await scoreOf('--meteor-modules', 'exact,stem'),
    await scoreOf(...wordnet),
    await scoreOf(...wordnet, ...data),
  ]
  expect([stems, synonyms, all].map(({ name }) => name)).toEqual([
    'METEOR (exact, stem)',
    'METEOR (exact, stem, synonym)',
    'METEOR',
  ])
  expect(stems.score).toBeLessThan(synonyms.score)
  expect(synonyms.score).toBeLessThan(all.score)
  expect(all.tokenizer).toBe('meteor')
  expect((await scoreOf(...wordnet, ...data, '--tokenizer', 'ptb')).tokenizer).toBe('ptb, meteor')
})

it.each([
  [['--metrics', 'bleu', ...wordnet], '--wordnet is for the metric meteor.'],
  [
    ['--metrics', 'meteor', '--meteor-modules', 'exact,stems'],
    'there is no "stems". There are exact, stem, synonym, paraphrase.',
  ],
  [['--metrics', 'meteor', '--meteor-modules', 'exact', ...wordnet], '--wordnet is for the module synonym.'],
  [['--metrics', 'meteor', '--meteor-modules', 'exact', ...data], '--meteor-data is for the module paraphrase.'],
  [['--metrics', 'meteor', '--meteor-modules', 'paraphrase'], 'The module paraphrase needs --meteor-data DIR of lowrank score.'],
])('refuses %j', async (flags, message) => {
  const { stderr, code } = await run(...flags)
  expect(stderr).toContain(message)
  expect(code).toBe(2)
})

it('says what to install, or to choose, where data are missing', async () => {
  const none = await run('--metrics', 'meteor', '--wordnet', folder)
  expect(none.code).toBe(1)
  expect(none.stderr).toMatch(/has no index\.noun.*"wordnet-base".*--meteor-modules exact,stem/)
  const bare = await run('--metrics', 'meteor', ...wordnet, '--meteor-data', folder)
  expect(bare.code).toBe(1)
  expect(bare.stderr).toMatch(/has no paraphrase-en\.gz/)
})
