/**
 * @file ONNX Runtime tells its makers nothing: no file of its own in the user's folders, no connection. The same run with telemetry
 * allowed leaves both, so the test can fail.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

/** What keeps the runtime silent: the variable, and those by which it knows machines of continuous integration. */
const SILENCING = [
  ...['ORT_DISABLE_TELEMETRY', 'CI', 'APPVEYOR', 'BUILDKITE', 'CIRCLECI', 'CODEBUILD_BUILD_ID', 'GITHUB_ACTIONS', 'GITLAB_CI'],
  ...['JENKINS_URL', 'TEAMCITY_VERSION', 'TF_BUILD', 'TRAVIS'],
]

interface Outcome {
  readonly output: string
  /** Files in what was the user's home folder. */
  readonly files: readonly string[]
}

/**
 * @param where in the main thread, or in which kind of worker
 * @param variable what ORT_DISABLE_TELEMETRY is in the process; unset if undefined
 * @param stay how long to stay afterwards, in milliseconds
 */
async function run(
  where: string,
  variable: string | undefined,
  stay = 0,
  more: Readonly<Record<string, string>> = {},
): Promise<Outcome> {
  const home = mkdtempSync(join(tmpdir(), 'lowrank-home-'))
  const env = { ...process.env, HOME: home, USERPROFILE: home, LOCALAPPDATA: home, XDG_CACHE_HOME: join(home, 'cache'), ...more } as NodeJS.ProcessEnv // prettier-ignore
  for (const name of SILENCING) delete env[name]
  if (variable !== undefined) env['ORT_DISABLE_TELEMETRY'] = variable
  const child = spawn(process.execPath, ['test/devices/telemetry-child.mjs', where, `${stay}`], { env })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
  await new Promise((resolve) => child.on('close', resolve))
  return { output, files: readdirSync(home, { recursive: true, withFileTypes: true }).flatMap((f) => (f.isFile() ? f.name : [])) }
}

/** A proxy that refuses everything and counts who came. */
async function countingProxy(): Promise<{
  readonly variables: Readonly<Record<string, string>>
  count(): number
  close(): void
}> {
  let count = 0
  const server = createServer((socket) => {
    count++
    socket.destroy()
  })
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { variables: { https_proxy: url, HTTPS_PROXY: url, http_proxy: url }, count: () => count, close: () => server.close() }
}

describe.skipIf(process.platform === 'darwin')("ONNX Runtime's telemetry", () => {
  it('is off unless the variable allows it: no file, no connection', async () => {
    const [silent, talking] = await Promise.all([countingProxy(), countingProxy()])
    const [off, on] = await Promise.all([
      run('main', undefined, 9000, silent.variables),
      run('main', '0', 9000, talking.variables),
    ])
    expect([off.output.trim(), on.output.trim()]).toEqual(['generated', 'generated'])
    expect(off.files).toEqual([])
    expect(silent.count()).toBe(0)
    expect(on.files).toContain('deviceid')
    expect(talking.count()).toBeGreaterThan(0)
    for (const proxy of [silent, talking]) proxy.close()
  }, 60_000)

  it('is off in worker threads, or they are refused', async () => {
    const results = await Promise.all(['worker', 'worker-shared', 'worker-after-import'].map((where) => run(where, undefined)))
    expect(results.map(({ files }) => files)).toEqual([[], [], []])
    expect(results[0]!.output).toMatch(/^RuntimeError: ONNX Runtime's telemetry cannot be turned off from a worker thread/)
    expect(results.slice(1).map(({ output }) => output.trim())).toEqual(['generated', 'generated'])
  })

  it('is off in the command line', async () => {
    const home = mkdtempSync(join(tmpdir(), 'lowrank-home-'))
    const env = { ...process.env, HOME: home, XDG_CACHE_HOME: join(home, 'cache') } as NodeJS.ProcessEnv
    for (const name of SILENCING) delete env[name]
    const cli = ['dist/cli/main.js', 'generate', '--model', 'demo/base', '--prompt', 'name', '--max-new-tokens', '1']
    const child = spawn(process.execPath, cli, { env, stdio: 'ignore' })
    expect(await new Promise((resolve) => child.on('close', resolve))).toBe(0)
    expect(readdirSync(home)).toEqual([])
  })
})
