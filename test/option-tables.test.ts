/** @file Tables of options: what they say agrees with what editors show of the same options. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import ts from 'typescript'
import { beamOptionTable } from '../src/generate/beam-options.js'
import { batchPromptTable, generateOptionTable } from '../src/generate/generate-options.js'
import { samplingOptionTable } from '../src/generate/sampling-options.js'
import { chrfOptionTable } from '../src/metrics/chrf.js'
import { meteorOptionTable } from '../src/metrics/meteor/meteor.js'
import { terOptionTable } from '../src/metrics/ter.js'
import { embedOptionTable, predictOptionTable } from '../src/predict/options.js'
import { evaluateOptionTable } from '../src/train/evaluate-options.js'
import { evaluateTextsOptionTable } from '../src/train/evaluate-texts.js'
import { objectiveOptionTable } from '../src/train/objectives/options.js'
import { trainModuleOptionTable } from '../src/nn/train-module.js'
import { serverOptionTable } from '../src/serve/options.js'
import { optionsWhere, trainOptionTable } from '../src/train/option-table.js'
import type { AnyTable } from '../src/util/option-table.js'

/** Each table, and where the interface is that it belongs to. */
const tables: Readonly<Record<string, readonly [file: string, table: AnyTable]>> = {
  TrainOptions: ['src/train/options.ts', trainOptionTable],
  EvaluateOptions: ['src/train/evaluate-options.ts', evaluateOptionTable],
  EvaluateTextsOptions: ['src/train/evaluate-texts.ts', evaluateTextsOptionTable],
  EmbedOptions: ['src/predict/options.ts', embedOptionTable],
  PredictOptions: ['src/predict/options.ts', predictOptionTable],
  ObjectiveOptions: ['src/train/objectives/options.ts', objectiveOptionTable],
  GenerateOptions: ['src/generate/generate-options.ts', generateOptionTable],
  BatchPrompt: ['src/generate/generate-options.ts', batchPromptTable],
  SamplingOptions: ['src/generate/sampling-options.ts', samplingOptionTable],
  BeamOptions: ['src/generate/beam-options.ts', beamOptionTable],
  MeteorOptions: ['src/metrics/meteor/meteor.ts', meteorOptionTable],
  TerOptions: ['src/metrics/ter.ts', terOptionTable],
  ChrfOptions: ['src/metrics/chrf.ts', chrfOptionTable],
  ServerOptions: ['src/serve/options.ts', serverOptionTable],
  TrainModuleOptions: ['src/nn/train-module.ts', trainModuleOptionTable],
}

/** The words above each member of an interface. */
function docsOf(file: string, name: string): Map<string, string> {
  const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true)
  const found = source.statements.find((each) => ts.isInterfaceDeclaration(each) && each.name.text === name)
  return new Map(
    (found as ts.InterfaceDeclaration).members.map((member) => [
      member.name!.getText(),
      ts
        .getJSDocCommentsAndTags(member)
        .map((doc) => ts.getTextOfJSDocComment(doc.comment) ?? '')
        .join(' ')
        .replace(/\s+/g, ' '),
    ]),
  )
}

describe.each(Object.entries(tables))('%s', (name, [file, table]) => {
  const docs = docsOf(file, name)

  it('every option is described', () => {
    expect([...docs].filter(([, doc]) => doc === '').map(([option]) => option)).toEqual([])
    for (const option of docs.keys()) expect(Object.keys(table)).toContain(option)
  })

  it('the description tells the default of the table', () => {
    for (const [option, doc] of docs) {
      const { default: preset, defaultsTo } = table[option]!
      const value = defaultsTo ?? (preset === true ? 'yes' : preset)
      if (value === false || (typeof value !== 'string' && typeof value !== 'number')) continue
      const told = [...doc.matchAll(/(?:^|\s)`?([\w.-]+)`? (?:by default|unless it is false|where it is not given)/g)].map(
        ([, word]) => word!,
      )
      expect(
        told.map((word) => (typeof value === 'number' ? Number(word) : word)),
        `${option}: ${doc}`,
      ).toContain(value)
    }
  })

  it('the table fits its own kinds', () => {
    for (const [option, row] of Object.entries(table))
      if ('is' in row && row.default !== undefined) expect(row.is.fits(row.default), option).toBe(true)
  })
})

it('a run is what it was before there were tables: older checkpoints are continued', () => {
  expect(optionsWhere(({ changes }) => changes === 'numbers').sort()).toEqual(
    [
      ...['gradAccum', 'learningRate', 'schedule', 'warmup', 'weightDecay', 'maxGradNorm', 'beta1', 'beta2', 'epsilon'],
      ...['maxLength', 'shuffle', 'seed', 'groupByLength', 'packing', 'unlabelled'],
      // These came later. Without a default, a run that does not have them is what it was.
      ...['noDecay', 'schedulePoints'],
    ].sort(),
  )
})
