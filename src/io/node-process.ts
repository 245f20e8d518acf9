/** @file Who this process is, and whether another one still lives: what locks and temporary files are judged by. */
import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'

/** Text of a file of Linux's /proc; empty elsewhere. */
function proc(read: () => string): string {
  try {
    return read()
  } catch {
    return ''
  }
}

let known: string | undefined

/**
 * The machine since it was started and, of a container, its space of process numbers: numbers of processes can be
 * compared where this is the same.
 */
export function thisHost(): string {
  const boot = (): string => proc(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim().slice(0, 8))
  const space = (): string => proc(() => readlinkSync('/proc/self/ns/pid').replace(/\D/g, ''))
  known ??= [hostname(), boot(), space()].filter((part) => part !== '').join('-')
  return known
}

/** State and start of a process, as Linux tells them; empty elsewhere, and of a process that is not there. */
function statOf(pid: number): { readonly state: string; readonly start: string } {
  const stat = proc(() => readFileSync(`/proc/${pid}/stat`, 'utf8'))
  // The name of the program, in parentheses, may hold blanks: the fields are counted from behind it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return { state: fields[0]!, start: fields[19] ?? '' }
}

/** When a process was started, in the kernel's own units: a number is given again, this pair is not. Empty if not told. */
export const startOf = (pid: number): string => statOf(pid).start

/** Whether the process of this number lives on this host; with `started`, that very one. */
export function isAlive(pid: number, started = ''): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    // No permission to send it a signal: it is there.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  const { state, start } = statOf(pid)
  // A zombie runs no more: it is listed until its parent asks how it ended, which in a container may be never.
  if (state === 'Z' || state === 'X') return false
  return started === '' || start === '' || start === started
}
