/** @file ESLint rule: rooms of src import downwards only. */
import { dirname, relative, resolve, sep } from 'node:path'

/** Rooms from bottom to top. A room may import from those before it, never from those after it. */
export const rooms = [
  ...[
    'errors',
    'io',
    'util',
    'jinja',
    'graph',
    'onnx',
    'runtime',
    'distributed',
    'autodiff',
    'lower',
    'quantize',
    'testing',
    'models',
    'losses',
    'metrics',
    'optim',
    'adapters',
    'formats',
    'export',
    'merge',
    'tokenizer',
    'data',
    'tracking',
  ],
  ...[
    'environment',
    'base',
    'model',
    'onnx-model',
    'load-model',
    'adapter',
    'inspect',
    'analyze',
    'generate',
    'constrain',
    'tool-calls',
    'train',
    'predict',
    'plan',
    'inspect-data',
    'nn',
    'report',
    'hub',
    'library',
    'public',
    'node-environment',
    'index',
    'browser-environment',
    'browser',
    'paper',
    'serve',
    'cli',
  ],
]

/** Rooms that use what users can, and what else of src they may import: the tables of options, which know nothing of models. */
const publicOnly = new Map([['serve', ['public', 'util']]])

const source = resolve(import.meta.dirname, '../src')
const roomOf = (path) =>
  relative(source, path)
    .split(sep)[0]
    .replace(/\.[jt]s$/, '')

/** @type {import('eslint').Rule.RuleModule} */
export const importDirection = {
  meta: { type: 'problem', schema: [] },
  create(context) {
    const from = roomOf(context.filename)
    const check = (node) => {
      const target = node.source?.value
      if (typeof target !== 'string' || !target.startsWith('.')) return
      const to = roomOf(resolve(dirname(context.filename), target))
      if (!rooms.includes(from))
        context.report({ node, message: `src/${from} has no place in the order of rooms: add it to scripts/import-direction.js` })
      else if (rooms.indexOf(to) > rooms.indexOf(from))
        context.report({ node, message: `src/${from} must not import from src/${to}, which is above it (${rooms.join(' < ')})` })
      else if (publicOnly.has(from) && to !== from && !publicOnly.get(from).includes(to))
        context.report({
          node,
          message: `src/${from} imports from ${publicOnly.get(from).join(', ')} of src and packages only, as users do`,
        })
    }
    return { ImportDeclaration: check, ExportNamedDeclaration: check, ExportAllDeclaration: check, ImportExpression: check }
  },
}
