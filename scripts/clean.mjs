/** @file Removes the last build, so that a file deleted from src does not live on in dist. */
import { rmSync } from 'node:fs'

for (const path of ['../dist', '../node_modules/.cache/build.tsbuildinfo', '../node_modules/.cache/build.done'])
  rmSync(new URL(path, import.meta.url), { recursive: true, force: true })
