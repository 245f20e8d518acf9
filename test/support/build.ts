/**
 * @file Builds the package before the tests, where its sources are newer: the command line and the tests of the package run
 * `dist`, as users do, and a process starts there in a third of the time that running the sources takes.
 */
import { execFileSync } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** Time of the newest file of a folder, in milliseconds. */
const newest = (folder: string): number =>
  Math.max(...(readdirSync(folder, { recursive: true }) as string[]).map((name) => statSync(join(folder, name)).mtimeMs))

/** Whether there is a build that is newer than every source. Its last file is written after all sources were read. */
function isBuilt(): boolean {
  const built = statSync('dist/cli/main.js', { throwIfNoEntry: false })?.mtimeMs ?? 0
  return built > Math.max(newest('src'), ...['tsconfig.json', 'tsconfig.build.json'].map((file) => statSync(file).mtimeMs))
}

export default function build(): void {
  if (!isBuilt()) execFileSync('npm', ['run', '--silent', 'build'], { stdio: 'inherit', shell: process.platform === 'win32' })
}
