/**
 * @file A machine for pickles that holds data only. Nothing is imported or executed: names outside a whitelist are
 * refused, and whitelisted functions are stood in for by plain data (globals.ts). Its work and its memory are bounded by
 * the length of the pickle.
 */
import { InvalidModelError } from '../../errors.js'
import type { ByteReader } from './bytes.js'
import { callGlobal, findGlobal, storageOf } from './globals.js'
import { describePickle, PickleDict, PickleTuple, type PickleValue } from './values.js'

const NOTHING = new PickleTuple([])

/** Containers cost more memory than their opcode; a checkpoint has far fewer of them than a quarter of its bytes. */
const BYTES_PER_OBJECT = 3
const FREE_OBJECTS = 1000

class Machine {
  private readonly stack: PickleValue[] = []
  /** Heights of the stack at the open marks. */
  private readonly marks: number[] = []
  private readonly memo = new Map<number, PickleValue>()
  private objects = 0

  constructor(private readonly reader: ByteReader) {}

  private fail(what: string): InvalidModelError {
    return new InvalidModelError(`${what} (pickle offset ${this.reader.position}); the file is damaged`)
  }

  /** Counts an object of JavaScript against the bytes read. */
  private count(): void {
    if (++this.objects > FREE_OBJECTS + this.reader.position / BYTES_PER_OBJECT)
      throw this.fail('the pickle makes too many objects')
  }

  private push(value: PickleValue): void {
    this.stack.push(value)
  }

  private pop(): PickleValue {
    const floor = this.marks[this.marks.length - 1] ?? 0
    if (this.stack.length <= floor) throw this.fail('the pickle takes a value from an empty stack')
    return this.stack.pop()!
  }

  private get top(): PickleValue {
    const value = this.pop()
    this.stack.push(value)
    return value
  }

  /** Everything above the last mark, which is removed. */
  private popMark(): PickleValue[] {
    const mark = this.marks.pop()
    if (mark === undefined) throw this.fail('the pickle lacks a mark')
    return this.stack.splice(mark)
  }

  private tuple(items: PickleValue[]): void {
    this.count()
    this.push(items.length === 0 ? NOTHING : new PickleTuple(items))
  }

  private put(index: number): void {
    this.count()
    this.memo.set(index, this.top)
  }

  private get(index: number): void {
    const value = this.memo.get(index)
    if (value === undefined) throw this.fail(`the pickle reads memo ${index}, which was never written`)
    this.push(value)
  }

  private text(value: PickleValue): string {
    if (typeof value !== 'string') throw this.fail(`a name must be text, got ${describePickle(value)}`)
    return value
  }

  private append(values: readonly PickleValue[]): void {
    const list = this.top
    if (!Array.isArray(list)) throw this.fail(`values are appended to ${describePickle(list)}`)
    for (const value of values) list.push(value)
  }

  private setItems(items: readonly PickleValue[]): void {
    const dict = this.top
    if (!(dict instanceof PickleDict) || items.length % 2 !== 0) throw this.fail(`items are set in ${describePickle(dict)}`)
    for (let i = 0; i < items.length; i += 2) {
      this.count()
      dict.entries.set(items[i]!, items[i + 1]!)
    }
  }

  /** `object.__setstate__`: the attributes of an OrderedDict (`_metadata`) are of no use here; other objects have none. */
  private build(): void {
    const state = this.pop()
    const object = this.top
    // A dtype of NumPy is built with its byte order.
    if (object instanceof PickleTuple && state instanceof PickleTuple && state.items[1] !== '>') return
    if (!(object instanceof PickleDict)) throw this.fail(`a state is given to ${describePickle(object)}`)
  }

  private number(line: string, of: 'int' | 'float' | 'long'): PickleValue {
    if (of === 'int' && (line === '00' || line === '01')) return line === '01'
    const digits = of === 'long' ? line.replace(/L$/, '') : line
    const value = Number(digits)
    if (digits.trim() === '' || digits.length > 400 || (of === 'float' ? false : !Number.isSafeInteger(value)))
      throw this.fail(`"${line.slice(0, 40)}" is no ${of} that is supported`)
    return value
  }

  /** Runs up to STOP and returns the value on top of the stack. */
  run(): PickleValue {
    const { reader } = this
    for (;;) {
      const op = reader.u8()
      switch (op) {
        case 0x80: // PROTO
          if (reader.u8() > 5) throw this.fail('the pickle has a protocol above 5')
          break
        case 0x95: // FRAME
          reader.u64()
          break
        case 0x2e: // STOP
          return this.pop()
        case 0x28: // MARK
          this.marks.push(this.stack.length)
          break
        case 0x30: // POP
          if (this.stack.length === (this.marks[this.marks.length - 1] ?? 0) && this.marks.length > 0) this.marks.pop()
          else this.pop()
          break
        case 0x31: // POP_MARK
          this.popMark()
          break
        case 0x32: // DUP
          this.push(this.top)
          break
        case 0x4e: // NONE
          this.push(null)
          break
        case 0x88: // NEWTRUE
          this.push(true)
          break
        case 0x89: // NEWFALSE
          this.push(false)
          break
        case 0x49: // INT
          this.push(this.number(reader.line(), 'int'))
          break
        case 0x4c: // LONG
          this.push(this.number(reader.line(), 'long'))
          break
        case 0x46: // FLOAT
          this.push(this.number(reader.line(), 'float'))
          break
        case 0x4a: // BININT
          this.push(reader.i32())
          break
        case 0x4b: // BININT1
          this.push(reader.u8())
          break
        case 0x4d: // BININT2
          this.push(reader.u16())
          break
        case 0x8a: // LONG1
          this.push(reader.long(reader.u8()))
          break
        case 0x8b: // LONG4
          this.push(reader.long(reader.u32()))
          break
        case 0x47: // BINFLOAT
          this.push(reader.f64())
          break
        case 0x58: // BINUNICODE
        case 0x54: // BINSTRING
          this.push(reader.text(reader.u32()))
          break
        case 0x8c: // SHORT_BINUNICODE
        case 0x55: // SHORT_BINSTRING
          this.push(reader.text(reader.u8()))
          break
        case 0x8d: // BINUNICODE8
          this.push(reader.text(reader.u64()))
          break
        case 0x56: // UNICODE
          this.push(reader.line())
          break
        case 0x42: // BINBYTES
          this.push(reader.take(reader.u32()))
          break
        case 0x43: // SHORT_BINBYTES
          this.push(reader.take(reader.u8()))
          break
        case 0x8e: // BINBYTES8
          this.push(reader.take(reader.u64()))
          break
        case 0x5d: // EMPTY_LIST
        case 0x8f: // EMPTY_SET
          this.count()
          this.push([])
          break
        case 0x7d: // EMPTY_DICT
          this.count()
          this.push(new PickleDict())
          break
        case 0x29: // EMPTY_TUPLE
          this.push(NOTHING)
          break
        case 0x85: // TUPLE1
          this.tuple([this.pop()])
          break
        case 0x86: {
          // TUPLE2
          const second = this.pop()
          this.tuple([this.pop(), second])
          break
        }
        case 0x87: {
          // TUPLE3
          const third = this.pop()
          const second = this.pop()
          this.tuple([this.pop(), second, third])
          break
        }
        case 0x74: // TUPLE
          this.tuple(this.popMark())
          break
        case 0x6c: // LIST
          this.count()
          this.push(this.popMark())
          break
        case 0x64: {
          // DICT
          const items = this.popMark()
          this.count()
          this.push(new PickleDict())
          this.setItems(items)
          break
        }
        case 0x61: // APPEND
          this.append([this.pop()])
          break
        case 0x65: // APPENDS
        case 0x90: // ADDITEMS
          this.append(this.popMark())
          break
        case 0x73: {
          // SETITEM
          const value = this.pop()
          this.setItems([this.pop(), value])
          break
        }
        case 0x75: // SETITEMS
          this.setItems(this.popMark())
          break
        case 0x67: // GET
          this.get(Number(reader.line()))
          break
        case 0x68: // BINGET
          this.get(reader.u8())
          break
        case 0x6a: // LONG_BINGET
          this.get(reader.u32())
          break
        case 0x70: // PUT
          this.put(Number(reader.line()))
          break
        case 0x71: // BINPUT
          this.put(reader.u8())
          break
        case 0x72: // LONG_BINPUT
          this.put(reader.u32())
          break
        case 0x94: // MEMOIZE
          this.put(this.memo.size)
          break
        case 0x63: {
          // GLOBAL
          const module = reader.line()
          this.push(findGlobal(module, reader.line()))
          break
        }
        case 0x69: {
          // INST: always of a class, and no class is in the whitelist as such; the message names it
          const module = reader.line()
          findGlobal(module, reader.line())
          throw this.fail('the pickle makes an object with INST')
        }
        case 0x93: {
          // STACK_GLOBAL
          const name = this.text(this.pop())
          this.push(findGlobal(this.text(this.pop()), name))
          break
        }
        case 0x52: // REDUCE
        case 0x81: {
          // NEWOBJ
          const args = this.pop()
          this.count()
          this.push(callGlobal(this.pop(), args))
          break
        }
        case 0x62: // BUILD
          this.build()
          break
        case 0x51: // BINPERSID
          this.count()
          this.push(storageOf(this.pop()))
          break
        default:
          throw this.fail(
            `the pickle has the instruction 0x${op.toString(16).padStart(2, '0')}, which no checkpoint of PyTorch has`,
          )
      }
    }
  }
}

/**
 * Evaluates one pickle.
 * @param reader moved past the pickle
 * @throws InvalidModelError for a name outside the whitelist, or a damaged pickle; OutOfBytes if it goes on after the bytes
 */
export const readPickle = (reader: ByteReader): PickleValue => new Machine(reader).run()
