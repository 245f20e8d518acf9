/** @file What Python's PEFT made of the adapters that we write; the fixture comes from load-adapters.py. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadAdapter } from '../../src/adapter/adapter.js'
import { FolderModel } from '../../src/model/folder-model.js'
import { int64 } from '../../src/graph/constants.js'
import { positionIds, relativeError } from '../models/golden.js'
import { testEnvironment } from '../support/environment.js'
import { temporaryFolder } from '../support/training.js'
import { adapterCases, baseFolder, inputs, writeAdapter } from './adapters.js'

interface Fixture {
  readonly cases: Readonly<
    Record<string, { readonly adapter_model: string; readonly adapter_config: string; readonly logits: readonly number[] }>
  >
}

const fixture = JSON.parse(readFileSync(join(import.meta.dirname, '../fixtures/peft-loads/logits.json'), 'utf8')) as Fixture
const folder = temporaryFolder()
const sha = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex')

it('PEFT loaded every case', () => {
  expect(Object.keys(fixture.cases)).toEqual(adapterCases.map(({ name }) => name))
})

describe.each(adapterCases)('$name', (adapterCase) => {
  const expected = fixture.cases[adapterCase.name]!
  const path = join(folder, adapterCase.name)

  it('is written as PEFT loaded it, and gives the logits that PEFT gives', async () => {
    await writeAdapter(adapterCase, path)
    expect(sha(join(path, 'adapter_model.safetensors'))).toBe(expected.adapter_model)
    expect(sha(join(path, 'adapter_config.json'))).toBe(expected.adapter_config)
    const model = await FolderModel.open(baseFolder(adapterCase), testEnvironment())
    const adapter = await loadAdapter(model, path)
    const session = await model.environment.runtime.createSession(adapter.attach(model.build({ mode: 'full' }).graph).graph)
    const { logits } = await session.run({
      input_ids: int64([2, 5], inputs.input_ids.flat()),
      attention_mask: int64([2, 5], inputs.attention_mask.flat()),
      position_ids: positionIds(2, 5),
      ...Object.fromEntries(adapter.tensors),
    })
    await session.release()
    expect(relativeError(logits!.data as Float32Array, expected.logits)).toBeLessThan(1e-5)
  })
})
