/**
 * @file Exports every golden case, and every golden decoder with a head, for check-exports.py:
 * `npx tsx test/oracle/write-exports.ts DIR`.
 */
import { existsSync, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { exportOnnx, exportWithAdapterInputs, loadAdapter, loadModel } from '../../src/index.js'

const out = process.argv[2]!
const overwrite = true
const golden = resolve(import.meta.dirname, '../fixtures/golden')
for (const group of ['peft', 'classifiers'])
  for (const name of readdirSync(join(golden, group))) {
    const folder = join(golden, group, name)
    const model = await loadModel(existsSync(join(folder, 'model')) ? join(folder, 'model') : folder)
    const target = join(out, group, name)
    await exportOnnx(model, join(target, 'base'), { overwrite })
    if (!existsSync(join(folder, 'adapter'))) continue
    const adapter = await loadAdapter(model, join(folder, 'adapter'))
    // Many small data files, so that their order is looked at too.
    await exportOnnx(adapter, join(target, 'merged'), { inlineUpTo: 0, dataFileSize: 20_000, overwrite })
    await exportOnnx(adapter, join(target, 'merged-fp16'), { dtype: 'fp16', overwrite })
    await exportWithAdapterInputs({ golden: adapter }, join(target, 'inputs'), { overwrite })
  }
