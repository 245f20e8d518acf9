/** @file The effects of tests: one thread, so that runs compare bit for bit. */
import type { Environment } from '../../src/environment.js'
import { nodeEnvironment } from '../../src/node-environment.js'

export const testEnvironment = (): Environment => nodeEnvironment({ threads: 1 })
