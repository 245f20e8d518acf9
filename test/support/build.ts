/**
 * @file Builds the package before the tests, where its sources are newer: the command line and the tests of the package run
 * `dist`, as users do, and a process starts there in a third of the time that running the sources takes.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** Written by the compiler when it has built: what it built of. */
const BUILD_INFO = 'node_modules/.cache/build.tsbuildinfo'

/** Written when the compiler had nothing to complain of: it writes the other, and all files, even if it had. */
const BUILD_DONE = 'node_modules/.cache/build.done'

/** Time of the newest file of a folder, in milliseconds. */
const newest = (folder: string): number =>
  Math.max(...(readdirSync(folder, { recursive: true }) as string[]).map((name) => statSync(join(folder, name)).mtimeMs))

/** Whether there is a build that is newer than every source. */
function isBuilt(): boolean {
  const built = statSync(BUILD_DONE, { throwIfNoEntry: false })?.mtimeMs ?? 0
  return (
    existsSync('dist/cli/main.js') &&
    built > Math.max(newest('src'), ...['tsconfig.json', 'tsconfig.build.json'].map((file) => statSync(file).mtimeMs))
  )
}

/** Removes what was built of sources that are gone. @returns whether all of the last build is there, as far as one can see */
function removeStale(): boolean {
  if (!existsSync('dist/cli/main.js') || !existsSync(BUILD_INFO)) return false
  for (const name of readdirSync('dist', { recursive: true }) as string[]) {
    const source = join('src', name.replace(/(\.d\.ts|\.js(\.map)?)$/, '.ts'))
    if (!existsSync(source)) rmSync(join('dist', name), { recursive: true, force: true })
  }
  return true
}

const run = (script: string): void => {
  execFileSync('npm', ['run', '--silent', script], { stdio: 'inherit', shell: process.platform === 'win32' })
}

export default function build(): void {
  if (!isBuilt()) run(removeStale() ? 'build:changed' : 'build')
}
