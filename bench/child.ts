/** @file A child process that runs one engine and stays alive between its turns. */
import { spawn, spawnSync, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { dirname, extname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { isOurs, type Answer, type Engine, type Request } from './protocol.js'

const self = fileURLToPath(import.meta.url)
const here = dirname(self)
const python = process.env['LOWRANK_BENCH_PYTHON'] ?? 'python3'

/** What a script of this folder is run with: this Node and its loaders, or the script compiled as this file is. */
export const nodeArguments = (script: string): string[] => [
  ...process.execArgv,
  join(here, script.replace(/\.ts$/, extname(self))),
]

/** Why the other engine cannot run here; undefined if it can. */
export function pythonProblem(): string | undefined {
  const { status, stderr, error } = spawnSync(python, ['-c', 'import torch, peft, transformers'], { encoding: 'utf8' })
  if (status === 0) return undefined
  const reason = error?.message ?? stderr.trim().split('\n').at(-1) ?? 'unknown reason'
  return `${python}: ${reason} (LOWRANK_BENCH_PYTHON names a Python that has torch, transformers and peft)`
}

export class Child {
  private readonly process: ChildProcessWithoutNullStreams
  private readonly answers: AsyncIterator<string>
  private errors = ''

  constructor(readonly engine: Engine) {
    const [command, args] = isOurs(engine) ? [process.execPath, nodeArguments('ours.ts')] : [python, [join(here, 'peft.py')]]
    this.process = spawn(command, args, { env: { ...process.env, TOKENIZERS_PARALLELISM: 'false', HF_HUB_OFFLINE: '1' } })
    this.process.stderr.setEncoding('utf8').on('data', (text: string) => (this.errors = (this.errors + text).slice(-4000)))
    this.answers = createInterface({ input: this.process.stdout })[Symbol.asyncIterator]()
  }

  /** @throws Error with what the child said, if it ended */
  async ask(request: Request): Promise<Answer> {
    this.process.stdin.write(`${JSON.stringify(request)}\n`)
    const { value, done } = await this.answers.next()
    if (done === true) {
      const { exitCode, signalCode } = this.process
      throw new Error(`the process of engine "${this.engine}" ended (${signalCode ?? `exit code ${exitCode}`}):\n${this.errors}`)
    }
    return JSON.parse(value) as Answer
  }

  /** Ends a process that does not answer. */
  end(): void {
    this.process.kill('SIGKILL')
  }

  async quit(): Promise<void> {
    const ended = new Promise((resolve) => this.process.once('exit', resolve))
    this.process.stdin.write('{"ask":"quit"}\n')
    await ended
  }
}
