/** @file Patterns for files: what they stand for, and that nothing hidden is taken along. */
import { expect, it } from 'vitest'
import { matches } from './globs.js'

it.each([
  ['a.txt', '*.txt', true],
  ['b/a.txt', '*.txt', false],
  ['b/a.txt', '**/*.txt', true],
  ['a.txt', '**/*.txt', true],
  ['logs/x/y.json', 'logs/**', true],
  ['logs/x/y.json', 'logs/', true],
  ['logs', 'logs/**', false],
  ['a.txt', './a.txt', true],
  ['atxt', 'a.txt', false],
  ['a+(b).txt', 'a+(b).txt', true],
  ['ab.txt', 'a?.txt', true],
  ['.env', '*', false],
  ['.env', '**', false],
  ['.git/config', '**', false],
  ['a/.git/config', '**/config', false],
  ['a/.env', 'a/*', false],
  ['.env', '.env', true],
  ['.git/config', '.git/**', true],
])('%s by %s: %s', (path, pattern, expected) => expect(matches(path, pattern)).toBe(expected))
