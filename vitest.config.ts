/** @file Tests: which files, in which processes, how long each may take. */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    // The native runtime is tested in processes: it does not like worker threads.
    pool: 'forks',
    // Modules are loaded once a process, not once a file, which would take a sixth of the time: no test replaces one.
    poolOptions: { forks: { maxForks: 2, isolate: false } },
    globalSetup: 'test/support/build.ts',
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    // The user's own cache folder is none of the tests' business.
    env: { LOWRANK_CACHE: join(tmpdir(), 'lowrank-test-cache') },
    // What is built is run as it is.
    server: { deps: { external: [/\/dist\//] } },
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
})
