/** @file Analyses as pictures and pages: every cell in its place and colour, names as text, nothing from elsewhere. */
import { expect, it } from 'vitest'
import { analysisPage, similarityPicture, type AdapterAnalysis, type ComparedLayer } from '../../src/index.js'

const layer: ComparedLayer = {
  module: 'model.<q>',
  r: [2, 3],
  A: { similarity: [[0, 0.5, 1], [0.25, 0.5, 1]], random: [[0.1, 0.1, 0.1], [0.1, 0.1, 0.1]] }, // prettier-ignore
  B: { similarity: [], random: [] },
}
const analysis: AdapterAnalysis = {
  layers: [
    {
      ...{ module: 'model.<q>', r: 3, scale: 2, singularValues: [2, 1, 0], rank: 2, effectiveRank: 1.8899, stableRank: 1.25 },
      ...{
        frobenius: 2.236068,
        spectral: 2,
        amplification: { r: 2, base: 9, inChange: 0.25, inBase: 4, inRandom: 0.5, factor: 8.944272 },
      },
    },
    {
      module: 'other',
      r: 1,
      scale: 1,
      singularValues: [0],
      rank: 0,
      effectiveRank: 0,
      stableRank: 0,
      frobenius: 0,
      spectral: 0,
      amplification: null,
    },
  ],
  left: [{ module: 'score', reason: 'a tensor that is trained whole' }],
}

it('draws a map: i downwards, j to the right, 0 dark and 1 light', () => {
  const svg = similarityPicture(layer, ['r < 3', 'r = 3'])
  const first = svg.slice(svg.indexOf('scale('), svg.indexOf('</g>'))
  const paths = new Map([...first.matchAll(/<path fill="(#\w+)" d="([^"]+)"\/>/g)].map(([, fill, path]) => [fill, path]))
  expect(paths.get('#440154')).toBe('M0 0h1v1h-1z')
  expect(paths.get('#fde725')).toBe('M2 0h1v1h-1zM2 1h1v1h-1z')
  expect(paths.get('#21918c')).toBe('M1 0h1v1h-1zM1 1h1v1h-1z')
  expect(paths.get('#3b528b')).toBe('M0 1h1v1h-1z')
  expect([...paths.values()].join('').match(/M/g)).toHaveLength(6)
  expect(first).toContain(`scale(${190 / 3} 95)`)
  expect(svg).toContain('i of r &lt; 3')
  expect(svg.match(/one of the matrices is 0/g)).toHaveLength(2)
  expect(svg).not.toMatch(/<q>|NaN|undefined/)
  expect(() => similarityPicture(layer, ['a'] as never)).toThrow('names must be two texts, got ["a"]')
})

it('writes a page: tables, maps, what was left out', () => {
  const comparison = { layers: [layer], onlyFirst: ['up'], onlySecond: [] }
  const page = analysisPage([{ name: 'out/r3', analysis }], [{ names: ['out/r2', 'out/r3'], comparison }])
  for (const text of [
    '<title>lowrank analyze: out/r3</title>',
    'model.&lt;q&gt;',
    '8.944',
    '1.89',
    '2.236',
    'a tensor that is trained whole',
    'changed by out/r2 alone',
  ])
    expect(page).toContain(text)
  expect(page.match(/<svg /g)).toHaveLength(1)
  expect(page).not.toMatch(/<script|https?:\/\/(?!www\.w3\.org)|NaN|undefined|<q>/)
  const plain = analysisPage([
    { name: 'a', analysis: { layers: [{ ...analysis.layers[0]!, amplification: undefined as never }], left: [] } },
  ])
  expect(plain).not.toContain('factor')
})
