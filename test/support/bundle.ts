/** @file A script of the tests as one file, for children that are started often: they start without translating the sources. */
import { build } from 'esbuild'
import { join, resolve } from 'node:path'

/** Bundles a script, packages left where they are. @returns the file for Node to run, in the checkout's cache folder */
export async function bundled(script: string, name: string): Promise<string> {
  const outfile = join(resolve(import.meta.dirname, '../..'), '.cache/test', name)
  const format = { bundle: true, platform: 'node', format: 'esm', packages: 'external', logLevel: 'silent' } as const
  await build({ ...format, entryPoints: [script], outfile })
  return outfile
}
