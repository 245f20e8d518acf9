/** @file A short run of the fuzzer: errors, paths and prototypes; time and memory are judged by `npm run fuzz`. */
import { describe, expect, it } from 'vitest'
import { runCases } from './run.js'
import { targets } from './targets.js'

describe('mutated files', () => {
  it.each(Object.keys(targets))('%s: are read, or refused with an error of ours', async (format) => {
    const failures: string[] = []
    const results = new Set<string>()
    for await (const { number, result, failure } of runCases(430, 7, format)) {
      results.add(result)
      if (failure !== undefined) failures.push(`case ${number}: ${failure}`)
    }
    expect(failures).toEqual([])
    expect(results).toContain(format === 'onnx-adapter' ? 'InvalidAdapterError' : 'InvalidModelError')
  })
})
