/** @file Resize of images whose size is known at the run only: the runtime's own operator against what takes its place. */
import { describe, expect, it } from 'vitest'
import { Graph } from '../graph/graph.js'
import { tensor } from '../graph/constants.js'
import { int, string, type Attributes } from '../graph/types.js'
import { nodeRuntime } from '../runtime/ort-node.js'
import { lower } from './lower.js'

const runtime = nodeRuntime({ threads: 1 })
const image = (h: number, w: number): ReturnType<typeof tensor> =>
  tensor(
    'float32',
    [1, 2, h, w],
    Array.from({ length: 2 * h * w }, (_, i) => Math.sin(3 * i) * 4),
  )

function resized(attributes: Attributes, by: { scales: readonly number[] } | { like: true }): Graph {
  const graph = new Graph()
  graph.addInput('x', 'float32', [1, 2, 'h', 'w'])
  if ('scales' in by) graph.addInitializer('scales', tensor('float32', [4], by.scales))
  else {
    graph.addInput('like', 'float32', ['p', 'q'])
    graph.addInitializer('first', tensor('int64', [2], [1, 2]))
    graph.nodes.push({ op: 'Shape', domain: '', name: 'shape', inputs: ['like'], outputs: ['shape'], attributes: {} })
    graph.nodes.push({ op: 'Concat', domain: '', name: 'sizes', inputs: ['first', 'shape'], outputs: ['sizes'], attributes: { axis: { type: 'int', value: 0 } } }) // prettier-ignore
  }
  const inputs = 'scales' in by ? ['x', '', 'scales'] : ['x', '', '', 'sizes']
  graph.nodes.push({ op: 'Resize', domain: '', name: 'resize', inputs, outputs: ['y'], attributes })
  graph.outputs = [{ name: 'y', dtype: 'float32', shape: undefined }]
  return graph
}

const coordinates = ['half_pixel', 'pytorch_half_pixel', 'align_corners', 'asymmetric', 'half_pixel_symmetric']
const roundings = ['round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil']

describe('Resize of free sizes', () => {
  for (const by of [{ scales: [1, 1, 2, 1.5] }, { scales: [1, 1, 0.5, 3] }, { like: true }] as const)
    it.each(
      coordinates.flatMap((mode) => [
        [mode, 'linear'] as const,
        [mode, 'cubic'] as const,
        ...roundings.map((r) => [mode, r] as const),
      ]),
    )(`${JSON.stringify(by)} %s %s`, async (mode, how) => {
      const graph = resized(
        {
          coordinate_transformation_mode: string(mode),
          ...(how === 'linear' || how === 'cubic'
            ? { mode: string(how) }
            : { mode: string('nearest'), nearest_mode: string(how) }),
        },
        by,
      )
      const { graph: lowered } = lower(graph)
      expect(lowered.nodes.some(({ op }) => op === 'Resize')).toBe(false)
      const [original, ours] = [await runtime.createSession(graph), await runtime.createSession(lowered)]
      for (const [h, w, p, q] of [
        [4, 6, 8, 5],
        [5, 3, 2, 9],
        [7, 7, 14, 7],
      ] as const) {
        // prettier-ignore
        const feeds = { x: image(h, w), ...('like' in by && { like: tensor('float32', [p, q], new Array(p * q).fill(0) as number[]) }) } // prettier-ignore
        const [expected, found] = [(await original.run(feeds))['y']!, (await ours.run(feeds))['y']!]
        expect(found.shape).toEqual(expected.shape)
        const values = found.data as Float32Array
        ;(expected.data as Float32Array).forEach((v, i) => expect(values[i], `${h}×${w}, element ${i}`).toBeCloseTo(v, 4))
      }
      await original.release()
      await ours.release()
    })

  it('says which interpolation needs a fixed size', () => {
    const smooth = { mode: string('linear'), antialias: int(1) }
    expect(() => lower(resized(smooth, { like: true }))).toThrow(
      /Resize .*"resize": .*antialias needs a fixed size, but axis 2 goes from h to a length known at the run only/,
    )
    expect(lower(resized(smooth, { scales: [1, 1, 2, 2] }), { dims: { h: 4, w: 4 } }).graph.outputs[0]!.shape).toEqual([1, 2, 8, 8]) // prettier-ignore
  })
})
