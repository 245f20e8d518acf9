/** @file Lint: TypeScript rules, headers of files, and the direction of imports between the rooms of src. */
import tseslint from 'typescript-eslint'
import { fileHeader } from './scripts/file-header.js'
import { importDirection } from './scripts/import-direction.js'

/** Rooms where Node's own modules are allowed; everything else runs in a browser too. */
const nodeOnly = [
  'src/cli/**',
  'src/io/node-*.ts',
  'src/runtime/ort-node.ts',
  'src/runtime/telemetry.ts',
  'src/distributed/node-mpi.ts',
  'src/hub/**',
  'src/report/node-assets.ts',
  'src/node-environment.ts',
]

const noNode = {
  group: ['node:*', 'fs', 'path', 'os', 'crypto', 'url'],
  message: 'The core is pure: take files, clock and randomness as arguments.',
}
/** Files of the bench and the demo that look inside; each says why in its header. */
const insiders = ['bench/inner.ts', 'bench/graph-building.ts', 'bench/gpu/profile.ts', 'demo/rows.ts']

const publicOnly = {
  regex: '/src/(?!(?:index|browser|(?:graph|autodiff|lower|onnx|formats|metrics|nn|serve)/index|testing/gradcheck)\\.js$)',
  message: 'The demo, the bench and the examples use what users can: import an entry of the package.',
}
const noRuntime = { group: ['onnxruntime-*'], message: 'Only src/runtime imports onnxruntime.' }

export default tseslint.config(
  { ignores: ['dist/', 'out/', 'coverage/', 'bench/results/', 'test/fixtures/'] },
  ...tseslint.configs.recommended,
  {
    plugins: { lowrank: { rules: { 'file-header': fileHeader, 'import-direction': importDirection } } },
    rules: {
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      'lowrank/file-header': 'error',
      eqeqeq: 'error',
      'no-console': 'error',
      'prefer-const': 'error',
    },
  },
  {
    files: ['src/**/*.ts'],
    rules: {
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      'lowrank/import-direction': 'error',
      'no-restricted-imports': ['error', { patterns: [noNode, noRuntime] }],
    },
  },
  {
    files: ['src/**/*.ts'],
    ignores: ['src/**/*.test.ts', 'src/**/*.cases.ts', 'src/**/cases.ts'],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    // A promise that nobody waits for loses its error.
    rules: { '@typescript-eslint/no-floating-promises': 'error', '@typescript-eslint/no-misused-promises': 'error' },
  },
  { files: nodeOnly, rules: { 'no-restricted-imports': ['error', { patterns: [noRuntime] }] } },
  { files: ['src/runtime/ort-*.ts', 'src/runtime/onnxruntime-wasm.d.ts'], rules: { 'no-restricted-imports': 'off' } },
  {
    files: ['src/**/*.test.ts', 'src/**/*.cases.ts', 'src/**/cases.ts'],
    rules: { 'no-restricted-imports': 'off', 'lowrank/import-direction': 'off' },
  },
  {
    files: ['demo/**/*.ts', 'bench/**/*.ts', 'examples/**/*.ts'],
    ignores: insiders,
    rules: { 'no-restricted-imports': ['error', { patterns: [publicOnly] }] },
  },
  { files: ['demo/**', 'bench/**', 'scripts/**', 'test/**'], rules: { 'no-console': 'off' } },
)
