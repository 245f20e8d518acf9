/**
 * @file A reader who follows a page of docs in a checkout of their own: its commands in one shell from top to bottom, its TypeScript
 * compiled and run as processes that import the built package by its name.
 *
 * Three things are not done again for each page: `npm ci` finds the packages there, `npm run build` what the suite was built as
 * (test/support/build.ts), and `npx lowrank` starts the program without npm, which takes longer to start than it.
 */
import { execFile } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll } from 'vitest'

const root = resolve(import.meta.dirname, '../..')

/** Stands between the outputs of two blocks. */
const BETWEEN = '\u001e'

const PRELUDE = `
npm() { [ "$1" = ci ] || command npm "$@"; }
lowrank() { "$NODE" dist/cli/main.js "$@"; }
npx() { if [ "$1" = lowrank ]; then shift; lowrank "$@"; else command npx "$@"; fi; }
`

export interface Result {
  readonly code: number
  /** Both streams, as they came. */
  readonly output: string
}

export class Reader {
  /** The checkout, removed after the file's tests. */
  readonly folder = mkdtempSync(join(tmpdir(), 'lowrank-reader-'))

  constructor() {
    afterAll(() => rmSync(this.folder, { recursive: true, force: true }))
    for (const name of ['dist', 'demo', 'tsconfig.json']) cpSync(join(root, name), this.file(name), { recursive: true })
    const { scripts, ...description } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: object }
    this.write('package.json', JSON.stringify({ ...description, scripts: { ...scripts, build: 'node --eval 0' } }))
    symlinkSync(join(root, 'node_modules'), this.file('node_modules'))
  }

  file(name: string): string {
    return join(this.folder, name)
  }

  read(name: string): string {
    return readFileSync(this.file(name), 'utf8')
  }

  write(name: string, text: string): void {
    writeFileSync(this.file(name), text)
  }

  private start(program: string, args: readonly string[]): Promise<Result> {
    const { FORCE_COLOR: _, ...environment } = process.env
    const env = { ...environment, NODE: process.execPath, HF_HUB_OFFLINE: '1', NO_COLOR: '1', NODE_OPTIONS: '' }
    return new Promise((done) => {
      const options = { cwd: this.folder, env, maxBuffer: 2 ** 26 }
      const child = execFile(program, args, options, (error, stdout, stderr) =>
        done({ code: error === null ? 0 : Number(error.code ?? 1), output: stdout + stderr }),
      )
      child.stdin!.end()
    })
  }

  /** What a shell makes of some lines; it stops at the first that fails. */
  shell(lines: string): Promise<Result> {
    this.write('.lines.sh', `exec 2>&1\n${PRELUDE}${lines}`)
    return this.start('bash', ['-e', '.lines.sh'])
  }

  /**
   * Types blocks into one shell, one after the other: what one sets the next has.
   * @param instead what is typed in place of whole lines
   * @returns their outputs
   * @throws Error with the block that fails and what came out, or for a line that no block has
   */
  async types(blocks: readonly string[], instead: Readonly<Record<string, string>> = {}): Promise<readonly string[]> {
    const unseen = Object.keys(instead).filter((line) => !blocks.some((text) => text.split('\n').includes(line)))
    if (unseen.length > 0) throw new Error(`no block has the line ${unseen.map((line) => `"${line}"`).join(' or ')}`)
    const typed = blocks.map((text) => text.split('\n').map((line) => instead[line] ?? line).join('\n')) // prettier-ignore
    const { code, output } = await this.shell(typed.map((text) => `${text}\nprintf '\\n${BETWEEN}'\n`).join(''))
    const outputs = output.split(`\n${BETWEEN}`)
    if (code !== 0 || outputs.length !== blocks.length + 1) {
      const failed = outputs.length - 1
      throw new Error(`block ${failed + 1} ends with ${code}:\n${blocks[failed]}\n${outputs[failed]}`)
    }
    return outputs.slice(0, -1)
  }

  /**
   * Compiles a program strictly and runs it. @returns what it prints
   * @throws Error with what the compiler or the program says
   */
  async program(name: string, code: string): Promise<string> {
    this.write(`${name}.ts`, code)
    const strict = ['--target', 'es2022', '--module', 'nodenext', '--strict', '--skipLibCheck']
    const compiled = await this.start(process.execPath, ['node_modules/typescript/bin/tsc', ...strict, `${name}.ts`])
    if (compiled.code !== 0) throw new Error(compiled.output)
    const { code: status, output } = await this.start(process.execPath, [`${name}.js`])
    if (status !== 0) throw new Error(output)
    return output
  }
}
