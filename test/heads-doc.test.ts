/** @file Parts of docs/heads.md as a reader follows them: their commands in a shell, their TypeScript compiled and run, on tiny models. */
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { writeBertModel } from './support/bert-model.js'
import { blocksOf } from './support/document.js'
import { Reader } from './support/reader.js'
import { toJsonl } from './support/training.js'

const section = ['docs/heads.md', 'Predictions'] as const

describe.skipIf(process.platform === 'win32')('docs/heads.md, Predictions', () => {
  const reader = new Reader()
  const models = { classifier: 'predict/classes', tagger: 'predict/tags', reader: 'predict/answers', embedder: 'sentence/bert' }
  for (const [name, from] of Object.entries(models)) cpSync(join('test/fixtures', from), reader.file(name), { recursive: true })
  reader.write('new.jsonl', '{"id":1,"text":"Ada lives in London"}\n{"id":2,"tokens":["Ada","lives"]}\n')
  reader.write('questions.csv', 'question,context\nwho lives?,"Ada lives in London, near the river"\n')
  reader.write('lines.txt', 'Ada lives in London\nthe soup was cold\n')

  it('its commands', async () => {
    const [output] = await reader.types(blocksOf('bash', ...section))
    expect(output!.split('\n').slice(0, 2).map((line) => line.split('\t')[2])).toEqual(['the soup was cold', 'where is the key']) // prettier-ignore
    const [first, second] = reader.read('tagged.jsonl').trim().split('\n').map((line) => JSON.parse(line) as Record<string, { words: object[] }>) // prettier-ignore
    expect([first!['id'], first!['prediction']!.words.length]).toEqual([1, 4])
    expect([second!['id'], second!['prediction']!.words.length]).toEqual([2, 2])
    expect(reader.read('answered.csv').split('\n')[0]).toBe(
      'question,context,prediction.answer,prediction.score,prediction.start,prediction.end,prediction.answers',
    )
  }, 120_000)

  it('its program', async () => {
    const lines = (await reader.program('heads', blocksOf('ts', ...section).join('\n'))).trim().split('\n')
    expect(lines).toHaveLength(4)
    expect(lines[0]).toMatch(/^(praise|complaint|question) 0\.\d+$/)
    for (const line of lines.slice(1, 3)) expect((JSON.parse(line) as { scores: object[] }).scores).toHaveLength(1)
    expect(Number(lines[3])).not.toBeNaN()
  }, 120_000)
})

describe.skipIf(process.platform === 'win32')('docs/heads.md, Masked language modelling', () => {
  const section = ['docs/heads.md', 'Masked language modelling'] as const
  const reader = new Reader()
  const texts = ['the soup was cold', 'where is the key', 'the key was cold']
  writeBertModel(reader.file('bert-base'), texts, { masked: true })
  for (const name of ['texts.jsonl', 'held-out.jsonl']) reader.write(name, toJsonl(texts.map((text) => ({ text }))))

  it('its command and its program', async () => {
    await reader.types(blocksOf('bash', ...section))
    const adapter = JSON.parse(reader.read('field/adapter_config.json')) as { task_type: unknown; target_modules: string[] }
    expect(adapter.task_type).toBeNull()
    expect(adapter.target_modules.sort()).toEqual(['query', 'value'])
    const log = await reader.program(
      'mlm',
      blocksOf('ts', ...section)
        .join('\n')
        .replaceAll("'field'", "'other'"),
    )
    expect(log.match(/event: 'done'/g)).toHaveLength(2)
    expect(JSON.parse(reader.read('pretrained/config.json'))).toMatchObject({
      architectures: ['BertForMaskedLM'],
      hidden_size: 128,
    })
    expect(reader.read('pretrained/tokenizer.json')).toBe(reader.read('bert-base/tokenizer.json'))
  }, 120_000)
})
