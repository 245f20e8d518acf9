/** @file Pickles and zip archives with hostile parts. */
import { deflateRawSync } from 'node:zlib'
import type { Random } from './random.js'

const latin1 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'))
const callables = ['os\nsystem', 'posix\nsystem', 'builtins\neval', 'builtins\nexec', 'builtins\ngetattr', '__builtin__\nexec', 'subprocess\nPopen', 'torch\nload', 'torch._utils\n_rebuild_tensor_v2', 'collections\nOrderedDict', '__proto__\nconstructor', 'torch\n__proto__', 'torch.hub\nload', 'runpy\nrun_path'] // prettier-ignore

/** Pieces of pickle that attack. */
const pieces: readonly ((random: Random) => string)[] = [
  (random) => `c${random.pick(callables)}\n(U\x04id >tR`,
  (random) => `(i${random.pick(callables)}\n`,
  (random) => `c${random.pick(callables)}\n)\x81}b`,
  (random) => `c${random.pick(callables)}\n}R.`,
  // A tuple or list in itself, and lists that double.
  () => ']q\x00h\x00a',
  () => '(q\x00h\x00tq\x00',
  () => ']q\x00(' + 'h\x00h\x00(h\x00h\x00leq\x01(h\x01h\x01leq\x00('.repeat(40),
  () => '\x8b\xff\xff\xff\x7f',
  () => '\x8a\xff' + '\xff'.repeat(255),
  () => 'X\xff\xff\xff\xff',
  () => '\x8e\xff\xff\xff\xff\xff\xff\xff\x7f',
  () => 'r\xff\xff\xff\x7f',
  () => 'p' + '9'.repeat(300) + '\n',
  () => 'L' + '9'.repeat(5000) + 'L\n',
  () => '('.repeat(5000),
  () => ')\x85'.repeat(1) + '\x85'.repeat(5000),
  () => ']'.repeat(5000),
  () => 'Q',
  () => 'R',
  () => '0'.repeat(9),
  () => '2'.repeat(3000),
]

/** A file of `torch.save` with hostile instructions inside its pickle (legacy stream or a pickle stored in the zip), sizes kept. */
export function mutatePickle(bytes: Uint8Array, random: Random): Uint8Array {
  const piece = latin1(random.pick(pieces)(random))
  if (random.below(4) === 0)
    return zipOf([{ name: 'archive/data.pkl', data: Buffer.concat([latin1('\x80\x02'), piece, latin1('.')]) }], random)
  const starts = [
    ...Buffer.from(bytes)
      .toString('latin1')
      .matchAll(/\x80[\x02-\x05][c}(\]X\x95]/g),
  ].map((m) => m.index + 2)
  const at = starts.length === 0 ? random.below(bytes.length + 1) : random.pick(starts) + random.below(40)
  // In a zip the pickle keeps its length, so that the archive stays whole; a stream may grow.
  const isZip = bytes[0] === 0x50
  return new Uint8Array(Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(isZip ? at + piece.length : at)]))
}

interface Entry {
  readonly name: string
  readonly data: Uint8Array
}

const entryNames = [
  'archive/data.pkl',
  '../../etc/passwd',
  '/etc/passwd',
  'archive/../data.pkl',
  '__proto__',
  'archive/data/0',
  '',
  'a\0b',
]

/** A zip archive that lies: sizes, offsets, entries that share bytes, packed bombs, wrong checksums, 64-bit fields. */
function zipOf(entries: readonly Entry[], random: Random): Uint8Array {
  const lie = random.below(7)
  const parts: Uint8Array[] = []
  const directory: Uint8Array[] = []
  let offset = 0
  for (const { name, data } of entries) {
    const packed = lie === 1 || random.below(2) === 0
    const content = packed ? deflateRawSync(data) : data
    const label = latin1(name)
    const local = Buffer.alloc(30)
    local.writeUInt32LE(0x04034b50, 0)
    local.writeUInt16LE(packed ? 8 : 0, 8)
    local.writeUInt32LE(content.length, 18)
    local.writeUInt32LE(data.length, 22)
    local.writeUInt16LE(label.length, 26)
    const central = Buffer.alloc(46)
    central.writeUInt32LE(0x02014b50, 0)
    central.writeUInt16LE(packed ? 8 : 0, 10)
    central.writeUInt32LE(lie === 0 ? 0xdeadbeef : 0, 16)
    central.writeUInt32LE(lie === 2 ? 0xffffffff : content.length, 20)
    central.writeUInt32LE(lie === 3 ? random.pick([0, 1, 0x7fffffff, 0xffffffff]) : data.length, 24)
    central.writeUInt16LE(label.length, 28)
    central.writeUInt32LE(lie === 4 ? random.pick([0, offset + 1, 0xffffffff]) : offset, 42)
    const extra = lie === 2 ? Buffer.from([1, 0, 16, 0, ...Array<number>(16).fill(random.pick([0, 127, 255]))]) : Buffer.alloc(0)
    central.writeUInt16LE(extra.length, 30)
    parts.push(local, label, content)
    directory.push(central, label, extra)
    offset += 30 + label.length + content.length
  }
  const end = Buffer.alloc(22)
  end.writeUInt32LE(0x06054b50, 0)
  const count = lie === 5 ? random.pick([0, 0xfffe, 0xffff]) : entries.length
  end.writeUInt16LE(count, 8)
  end.writeUInt16LE(count, 10)
  end.writeUInt32LE(Buffer.concat(directory).length, 12)
  end.writeUInt32LE(lie === 6 ? random.pick([0, 1, 0xffffffff]) : offset, 16)
  return new Uint8Array(Buffer.concat([...parts, ...directory, end]))
}

/** An archive around the pickle of nothing, with entries by hostile names; some unpack to a thousand times their size. */
export function hostileZip(random: Random): Uint8Array {
  const pickle = { name: 'archive/data.pkl', data: latin1('\x80\x02}.') }
  const more = Array.from({ length: random.below(4) }, () => ({
    name: random.pick(entryNames),
    data: new Uint8Array(random.pick([0, 16, 1000, 4_000_000])),
  }))
  const bomb = { name: 'archive/data.pkl', data: new Uint8Array(random.pick([100_000, 8_000_000])).fill(0x5d) }
  return zipOf([random.below(3) === 0 ? bomb : pickle, ...more], random)
}
