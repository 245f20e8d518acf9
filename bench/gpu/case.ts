/** @file Writes a training case of the benchmark, its model in float32 and in float16: `case.ts JSON`; prints its names as a line of JSON. */
import { writeFile } from 'node:fs/promises'
import { syntheticCase, type Case, type SyntheticRun } from '../cases.js'
import { float16Model } from './models.js'

/** The case twice: on weights in float32, and in float16. */
export interface CaseFiles {
  readonly spec: Case
  readonly float16: Case
  /** A file that holds the first. */
  readonly file: string
}

const spec = await syntheticCase(JSON.parse(process.argv[2]!) as SyntheticRun)
const file = `${spec.data}.case.json`
await writeFile(file, JSON.stringify(spec))
const files: CaseFiles = { spec, float16: { ...spec, model: await float16Model(spec.model) }, file }
process.stdout.write(`${JSON.stringify(files)}\n`)
