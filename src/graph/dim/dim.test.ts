/**
 * @file Symbolic lengths by hand: one text for one length, arithmetic where it is certain, and names for what it cannot
 * divide.
 */
import { describe, expect, it } from 'vitest'
import { tensor } from '../constants.js'
import { GraphBuilder } from '../builder.js'
import { BoundDims } from '../../plan/bind-dims.js'
import { Graph } from '../graph.js'
import { int, type Dim } from '../types.js'
import {
  addDims,
  compareDims,
  dimOfFile,
  divideDims,
  evaluateDim,
  floorDivideDims,
  isAtLeast,
  maxDims,
  minDims,
  multiplyDims,
  namesOf,
  normalizeDim,
  scaleDim,
  sliceDim,
  substituteDims,
  subtractDims,
  unknownDim,
} from './index.js'

describe('symbolic lengths', () => {
  it('flattens a sum as a whole', () => {
    const graph = new Graph()
    const b = new GraphBuilder(graph)
    const [past, now] = [graph.addInput('past', 'float32', ['past', 2]), graph.addInput('now', 'float32', ['sequence', 2])]
    const joined = b.concat([past, now], 0)
    const flat = b.emit('Flatten', [joined], { axis: int(0) })
    expect(joined.shape).toEqual(['(past+sequence)', 2])
    expect(flat.shape).toEqual([1, '2*(past+sequence)'])
    const dims = new BoundDims(graph, { past: 4, sequence: 3 })
    expect(dims.of(flat.shape![1]!)).toBe(14)
    expect(dims.elements(joined)).toBe(14)
  })

  it('has one text for one length', () => {
    for (const [texts, normal] of [
      [['past+sequence', '(past+sequence)', '(sequence+past)', 'sequence+past'], '(past+sequence)'],
      [['2*(a+b)', '2*a+2*b', '(2·a+2·b)', '(b+a)*2'], '2*(a+b)'],
      [['a*b+b', 'b*(a+1)', '(a+1)*b'], '(a+1)*b'],
      [['b*a*3', '3*a*b', 'a*3*b', '(3·a·b)'], '3*a*b'],
      [['(a+b)*(a+-1·b)'], '(a·a+-1·b·b)'],
      [['a+-1·a'], 0],
      [['7', '(3+4)'], 7],
    ] as const)
      for (const text of texts) expect(normalizeDim(text), text).toBe(normal)
  })

  it('adds, subtracts and multiplies', () => {
    expect(addDims('s', 1)).toBe('(s+1)')
    expect(subtractDims(addDims('s', 1), 1)).toBe('s')
    expect(subtractDims('s', 's')).toBe(0)
    expect(multiplyDims(2, addDims('s', 1))).toBe('2*(s+1)')
    expect(addDims(multiplyDims(2, 's'), 's')).toBe('3*s')
    expect(subtractDims(multiplyDims(2, addDims('s', 1)), 2)).toBe('2*s')
    expect(addDims('b', multiplyDims('a', 'b'))).toBe('(a+1)*b')
    expect(multiplyDims('s', -1)).toBe('(-1·s)')
    expect(multiplyDims(0, 's')).toBe(0)
  })

  it('divides where it can and names what it cannot', () => {
    expect(divideDims('6*s', 's')).toBe(6)
    expect(divideDims(multiplyDims('(past+sequence)', 'a*2'), '(past+sequence)')).toBe('2*a')
    expect(divideDims('(a·c+a·d+b·c+b·d)', '(a+b)')).toBe('(c+d)')
    expect(divideDims('(a+b)', 'a')).toBeUndefined()
    expect(divideDims('3*a', 2)).toBeUndefined()
    expect(divideDims('a', 0)).toBeUndefined()
    expect(floorDivideDims('6*s', 's')).toBe(6)
    expect(floorDivideDims('s', 2)).toBe('floor{s/2}')
    expect(floorDivideDims(addDims(multiplyDims('s', 2), 3), 2)).toBe('(s+1)')
    expect(subtractDims(addDims(floorDivideDims(addDims('s', 1), 2), 1), 1)).toBe('floor{(s+1)/2}')
    expect(floorDivideDims('a', 'b')).toBe('quotient{a,b}')
    expect(floorDivideDims(multiplyDims('floor{a/2}', 'floor{b/2}'), 2)).toBe('floor{floor{a/2}*floor{b/2}/2}')
  })

  it('calls the length behind the same strides the same', () => {
    const strided = (length: string | number): string | number => addDims(floorDivideDims(addDims(length, -1), 2), 1)
    expect(strided(strided('h'))).toBe(addDims(floorDivideDims(addDims('h', -1), 4), 1))
    expect(floorDivideDims(floorDivideDims('h', 2), 2)).toBe('floor{h/4}')
    for (let h = 1; h < 40; h++) {
      const here = evaluateDim(strided(strided('h')), (name) => (name === 'h' ? h : undefined))
      expect(here).toBe(strided(strided(h)))
    }
  })

  it('compares only where it is certain', () => {
    expect(compareDims('s', -1)).toBeGreaterThan(0)
    expect(compareDims('s', 's')).toBe(0)
    expect(compareDims('s', 1)).toBeUndefined()
    expect(compareDims('s', 't')).toBeUndefined()
    expect(compareDims(addDims('s', 1), 's')).toBeGreaterThan(0)
    expect([isAtLeast('s', 1), isAtLeast('s', 2), isAtLeast('(s+1)', 's')]).toEqual([true, false, true])
    expect([minDims('s', '(s+1)'), maxDims('s', '(s+1)'), minDims('b', 'a')]).toEqual(['s', '(s+1)', 'min{a,b}'])
  })

  it('is a number once its names are', () => {
    const of = (dim: string | number): number => evaluateDim(dim, (name) => ({ h: 37, a: 4, b: 3 })[name])
    expect(of('2*(a+b)*h')).toBe(518)
    expect(of('min{(a+1),b}')).toBe(3)
    expect(of(maxDims('a', 'b'))).toBe(4)
    expect(of(scaleDim('h', 1.5))).toBe(55)
    expect(of(sliceDim('h', 2, -3, 2))).toBe(16)
    expect(of(sliceDim('h', 0, 'a', 1))).toBe(4)
    expect(of('quotient{h,(a+b)}')).toBe(5)
    expect(() => of('x')).toThrow(/the length "x" is not known before the run/)
    expect(() => of('floor{x/2}')).toThrow(/"x"/)
    expect(substituteDims('floor{(h+1)/2}', (name) => (name === 'h' ? 9 : undefined))).toBe(5)
    expect(substituteDims('2*(past+sequence)', (name) => (name === 'past' ? 4 : undefined))).toBe('2*(sequence+4)')
    const given = (lengths: Readonly<Record<string, Dim>>) => (name: string) => lengths[name]
    expect(substituteDims('quotient{a,b}', given({ b: 2 }))).toBe(floorDivideDims('a', 2))
    expect(substituteDims('quotient{a,b}', given({ b: 'a' }))).toBe(1)
    expect(substituteDims('min{a,b}', given({ b: '(a+3)' }))).toBe('a')
    expect(substituteDims('max{b,c}', given({ b: 'z' }))).toBe('max{c,z}')
    expect(substituteDims('slice{a,2,2147483647,1}', given({ a: '(b+1)' }))).toBe('(b+-1)')
    expect(substituteDims('2*scaled{a,1.5}', given({ a: 3 }))).toBe(8)
    expect(namesOf('floor{(h+1)/2}*(a+min{b,3})').sort()).toEqual(['a', 'b', 'h'])
  })

  it('takes what a file calls a length as arithmetic or as a name', () => {
    expect(dimOfFile('past_sequence_length + sequence_length')).toBe('(past_sequence_length+sequence_length)')
    expect(dimOfFile('((s77 - 1)//2) + 1')).toBe('floor{(s77+1)/2}')
    expect(dimOfFile('2*s53')).toBe('2*s53')
    expect(dimOfFile('batch-size')).toBe('batch-size')
    expect(dimOfFile('height/4')).toBe('floor{height/4}')
    for (const name of ['a b', 'x[0', 'n(y', '?', 'länge', 'a{b', 'a,b', '*', '(', '1+', 'a+'])
      expect(
        evaluateDim(multiplyDims(2, addDims(dimOfFile(name), 1)), () => 5),
        name,
      ).toBe(12)
    for (const name of ['a b', 'height/4', 'a*(b+c)', 'past + now', 'floor{(h+1)/2}', '(2·a+1)', 'x[0'])
      expect(dimOfFile(String(dimOfFile(name))), name).toBe(dimOfFile(name))
    expect(dimOfFile(`${'('.repeat(100_000)}a`)).toMatch(/^%28/)
    expect(dimOfFile(`${'('.repeat(100_000)}a·b${')'.repeat(100_000)}`)).toMatch(/^%28/)
  })

  it('names what only the run tells without meaning anything else', () => {
    const name = unknownDim('range', '/model/a*b+(c,d]', 2)
    expect(namesOf(multiplyDims(name, 2))).toEqual([name])
  })

  it('is computed by the run where no value has it', async () => {
    const graph = new Graph()
    const b = new GraphBuilder(graph)
    const x = graph.addInput('x', 'float32', ['h', 'w'])
    const wanted = ['(h+2)', 'floor{(h+1)/2}*w', 'min{h,w}', 'max{h,w}', 'quotient{(h+w),w}', '(h·w+w+-1)']
    graph.outputs = [b.shapeVector(wanted)]
    const { nodeRuntime } = await import('../../runtime/ort-node.js')
    const session = await nodeRuntime({ threads: 1 }).createSession(graph)
    const result = await session.run({
      x: tensor(
        'float32',
        [5, 3],
        Array.from({ length: 15 }, () => 0),
      ),
    })
    await session.release()
    expect(Array.from(result[graph.outputs[0]!.name]!.data as BigInt64Array, Number)).toEqual([7, 9, 3, 5, 2, 17])
    expect(x.shape).toEqual(['h', 'w'])
  })
})

it('products of products of lengths end in an error of ours, not of memory', () => {
  const grow = (length: Dim, step: (dim: Dim) => Dim): void => {
    for (let i = 0, dim = length; i < 40; i++) dim = step(dim)
  }
  expect(() => grow('n', (dim) => multiplyDims(dim, dim))).toThrow(/a length is a product of more than/)
  expect(() => grow('n', (dim) => multiplyDims(dim, addDims(dim, 1)))).toThrow(/a length is a product of more than/)
})
