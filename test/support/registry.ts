/** @file Whether a registry of packages can be reached: what needs one (test/package) is left out where there is none. */
import { execFile } from 'node:child_process'
import { tmpdir } from 'node:os'
import { promisify } from 'node:util'

/** Vite's generator of projects; it names the Vite and the TypeScript that its template takes. */
export const TEMPLATE = 'create-vite@9.3.0'

/** The environment without what `npm run` and this checkout's .npmrc say: a user's project has neither. */
export const outsideEnvironment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^npm_(package|lifecycle|command)|^npm_config_(ignore_scripts|local_prefix|prefix)$|^INIT_CWD$/i.test(name)), // prettier-ignore
)

/** Whether a package can be had. */
export const inRegistry = (name: string): Promise<boolean> =>
  promisify(execFile)('npm', ['view', name, 'version'], {
    cwd: tmpdir(),
    env: outsideEnvironment,
    timeout: 240_000,
    shell: process.platform === 'win32',
  }).then(
    () => true,
    () => false,
  )
