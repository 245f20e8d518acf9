import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    // The native runtime is tested in processes: it does not like worker threads.
    pool: 'forks',
    poolOptions: { forks: { maxForks: 2 } },
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
})
