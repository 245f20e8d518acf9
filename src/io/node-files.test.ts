/** @file Files of Node: whole or not at all when written, errors that say what is missing, links resolved. */
import { execFileSync } from 'node:child_process'
import { statSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { FileError } from '../errors.js'
import { nodeFiles } from './node-files.js'
import { decodeUtf8Chunks } from './utf8.js'

const files = nodeFiles()
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lowrank-files-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function* chunksOf(...parts: Uint8Array[]): AsyncIterable<Uint8Array> {
  yield* parts
}

const collect = async (source: AsyncIterable<string>): Promise<string[]> => {
  const all: string[] = []
  for await (const part of source) all.push(part)
  return all
}

describe('write', () => {
  it('writes text, bytes and streams, creates folders and leaves nothing beside', async () => {
    const path = join(folder, 'a/b/file')
    await files.write(path, 'één\n')
    expect(await files.readText(path)).toBe('één\n')
    await files.write(path, Uint8Array.of(1, 2, 3))
    expect([...(await files.read(path))]).toEqual([1, 2, 3])
    await files.write(path, chunksOf(Uint8Array.of(4), Uint8Array.of(), Uint8Array.of(5, 6)))
    expect([...(await files.read(path, { offset: 1, length: 2 }))]).toEqual([5, 6])
    expect(await readdir(join(folder, 'a/b'))).toEqual(['file'])
  })

  it.skipIf(process.platform === 'win32')('puts no file in the place of a device or a pipe', async () => {
    const path = join(folder, 'pipe')
    execFileSync('mkfifo', [path])
    await expect(files.write(path, 'x')).rejects.toThrow(`${path} is a device or a pipe, which a file would replace`)
    expect(statSync(path).isFIFO()).toBe(true)
  })

  it('keeps the old file and removes the new one when the source of the bytes fails', async () => {
    const path = join(folder, 'kept/file')
    await files.write(path, 'old')
    await expect(
      files.write(
        path,
        (async function* () {
          yield Uint8Array.of(1)
          throw new RangeError('damaged tensor')
        })(),
      ),
    ).rejects.toThrow(new RangeError('damaged tensor'))
    expect(await files.readText(path)).toBe('old')
    expect(await readdir(join(folder, 'kept'))).toEqual(['file'])
  })

  it.skipIf(process.platform !== 'linux')('says how much did not fit when a file may not grow', async () => {
    // The shell limits the size of files: the write fails half way, as on a full disk, and the old file stays.
    const path = join(folder, 'full/file')
    await files.write(path, 'old')
    const script = `import { nodeFiles } from ${JSON.stringify(join(process.cwd(), 'src/io/node-files.ts'))}
      process.on('SIGXFSZ', () => {})
      nodeFiles().write(process.argv[1], new Uint8Array(1 << 20)).then(() => console.log('written'), (e) => console.log(e.name + ': ' + e.message))`
    const output = execFileSync(
      'bash',
      ['-c', 'ulimit -f 64; exec "$@"', 'bash', process.execPath, '--import', 'tsx', '--input-type=module', '-e', script, path],
      {
        encoding: 'utf8',
      },
    )
    expect(output).toMatch(/^FileError: the file is too large .*writing .*file \(1048576 bytes\); the previous file is untouched/)
    expect(await files.readText(path)).toBe('old')
    expect(await readdir(join(folder, 'full'))).toEqual(['file'])
  })

  it('refuses a folder as a file and a file as a folder', async () => {
    await mkdir(join(folder, 'dir'))
    await writeFile(join(folder, 'plain'), 'x')
    await expect(files.write(join(folder, 'dir'), 'x')).rejects.toThrow(/dir is a folder, a file is needed/)
    await expect(files.write(join(folder, 'plain/file'), 'x')).rejects.toThrow(
      /a file is where a folder is needed|a part of the path is a file/,
    )
    await expect(files.read(join(folder, 'dir'))).rejects.toThrow(/dir is a folder, a file is needed/)
  })

  it.skipIf(process.getuid?.() === 0)('says that permission is missing', async () => {
    const locked = join(folder, 'locked')
    await mkdir(locked)
    await chmod(locked, 0o500)
    await expect(files.write(join(locked, 'x'), 'x')).rejects.toThrow(
      /no permission for writing .*x \(1 byte\); the previous file is untouched; change the permissions/,
    )
    await chmod(locked, 0o700)
  })

  it.skipIf(process.platform !== 'linux')('maps the errors of pseudo file systems that even root meets', async () => {
    await expect(files.write('/proc/lowrank/x', 'x')).rejects.toThrow(/writing|making/)
  })
})

describe('read', () => {
  it.skipIf(process.platform === 'win32')('a pipe that nobody writes to is refused, not waited for', async () => {
    execFileSync('mkfifo', [join(folder, 'unwritten.pipe')])
    await expect(files.read(join(folder, 'unwritten.pipe'))).rejects.toThrow(/unwritten.pipe is a pipe, a file is needed/)
    await rm(join(folder, 'unwritten.pipe'))
  })

  it('says what is missing or too short', async () => {
    await writeFile(join(folder, 'ten'), '0123456789')
    await expect(files.read(join(folder, 'none'))).rejects.toThrow(/none does not exist; check the path/)
    await expect(files.size(join(folder, 'none'))).rejects.toThrow(FileError)
    await expect(files.list(join(folder, 'none'))).rejects.toThrow(/does not exist/)
    await expect(files.read(join(folder, 'ten'), { offset: 8, length: 4 })).rejects.toThrow(
      /ten ends too early: 4 bytes from offset 8 are needed, the file has 10 bytes/,
    )
  })

  it('answers exists, isDirectory, size and list', async () => {
    const at = join(folder, 'answers')
    await files.makeFolder(at)
    await writeFile(join(at, 'b'), 'xy')
    await writeFile(join(at, 'a'), '')
    expect(await files.exists(join(at, 'a'))).toBe(true)
    expect(await files.exists(join(at, 'a/deeper'))).toBe(false)
    expect(await files.isDirectory(at)).toBe(true)
    expect(await files.isDirectory(join(at, 'a'))).toBe(false)
    expect(await files.isDirectory(join(at, 'none'))).toBe(false)
    expect(await files.size(join(at, 'b'))).toBe(2)
    expect(await files.list(at)).toEqual(['a', 'b'])
  })

  it('appends, moves and removes', async () => {
    const log = join(folder, 'logs/log')
    await files.append(log, 'one\n')
    await files.append(log, 'two\n')
    await files.move(log, `${log}.1`)
    expect(await readFile(`${log}.1`, 'utf8')).toBe('one\ntwo\n')
    await expect(files.move(log, `${log}.2`)).rejects.toThrow(FileError)
    await files.remove(join(folder, 'logs'))
    await files.remove(join(folder, 'logs'))
    expect(await files.exists(join(folder, 'logs'))).toBe(false)
  })

  it('resolves links, also below a link to what does not exist yet', async () => {
    const real = await files.realPath(folder)
    await mkdir(join(folder, 'target'))
    await symlink('target', join(folder, 'link'))
    expect(await files.realPath(join(folder, 'link'))).toBe(join(real, 'target'))
    expect(await files.realPath(join(folder, 'link/new/deep'))).toBe(join(real, 'target/new/deep'))
  })
})

describe('text', () => {
  it('streams a file longer than a chunk without splitting characters', async () => {
    const path = join(folder, 'long')
    const text = '€x\n'.repeat(200_000)
    await files.write(path, text)
    const parts = await collect(files.streamText(path))
    expect(parts.length).toBeGreaterThan(1)
    expect(parts.join('')).toBe(text)
  })

  it('drops a byte order mark', async () => {
    const path = join(folder, 'bom')
    await writeFile(path, Uint8Array.of(0xef, 0xbb, 0xbf, 0x61))
    expect(await files.readText(path)).toBe('a')
    expect((await collect(files.streamText(path))).join('')).toBe('a')
  })

  it('names the line that is not UTF-8', async () => {
    const path = join(folder, 'latin1')
    await writeFile(path, Buffer.concat([Buffer.from('ok\nfine €\n'), Buffer.from([0x63, 0xe9, 0x0a]), Buffer.from('more\n')]))
    await expect(files.readText(path)).rejects.toThrow(/latin1, line 3: the bytes are not valid UTF-8; save the file as UTF-8/)
    await expect(collect(files.streamText(path))).rejects.toThrow(/latin1, line 3:/)
    const euro = new TextEncoder().encode('a\nb€')
    await expect(collect(decodeUtf8Chunks(chunksOf(euro.subarray(0, 4), Uint8Array.of(0x41, 0x0a)), 'f'))).rejects.toThrow(
      /^f, line 2:/,
    )
    await expect(collect(decodeUtf8Chunks(chunksOf(euro.subarray(0, 4)), 'f'))).rejects.toThrow(/^f, line 2:/)
    expect((await collect(decodeUtf8Chunks(chunksOf(euro.subarray(0, 4), euro.subarray(4)), 'f'))).join('')).toBe('a\nb€')
  })

  it('reports a missing file from the stream', async () => {
    await expect(collect(files.streamText(join(folder, 'nowhere')))).rejects.toThrow(/nowhere does not exist/)
  })
})
