/** @file What lowrank needs of a file system. Effects come in as an argument, so tests can fill disks and browsers can bring OPFS. */

/** A file system. Paths have `/` between folders. */
export interface Files {
  /** Bytes of a file, or of a range of it. @throws FileError if missing, unreadable or shorter than the range */
  read(path: string, range?: { readonly offset: number; readonly length: number }): Promise<Uint8Array>
  /** Text of a UTF-8 file. @throws FileError if missing or no UTF-8 */
  readText(path: string): Promise<string>
  /** Size in bytes. @throws FileError if missing */
  size(path: string): Promise<number>
  /** Whether there is a file or folder. */
  exists(path: string): Promise<boolean>
  /** Whether there is a folder. */
  isDirectory(path: string): Promise<boolean>
  /** Names in a folder, sorted. */
  list(folder: string): Promise<string[]>
  /** Decoded chunks of a text file in order, never the whole file at once. */
  streamText(path: string): AsyncIterable<string>
  /**
   * Writes a whole file or nothing: beside its name, flushed to disk, then renamed. Creates the folder.
   * @throws FileError saying whether permission or space is missing; the old file is then untouched
   */
  write(path: string, content: Uint8Array | string | AsyncIterable<Uint8Array>): Promise<void>
  /** Appends to a log, text or bytes; creates it if needed. */
  append(path: string, content: Uint8Array | string): Promise<void>
  /** Makes a folder, with those above it. */
  makeFolder(path: string): Promise<void>
  /** Removes a file or a folder with all it holds; fine if it is missing. */
  remove(path: string): Promise<void>
  /** Renames a file or folder. */
  move(from: string, to: string): Promise<void>
  /** Absolute path with symbolic links resolved; the path itself where nothing is there yet. */
  realPath(path: string): Promise<string>
  /**
   * A text that no other file has and that changes when the file does (device, inode, size, times), found without reading
   * it. Undefined where the platform does not tell, and of a file that changed a moment ago: its clock may be too coarse.
   */
  version?(path: string): Promise<string | undefined>
  /**
   * Makes a file the sign that one run alone writes into its folder, until the function that comes back is called or the
   * process ends, however it does. Creates the folder. Absent where nobody else can write.
   * @throws FileError naming who holds it, if a living process does
   */
  lock?(path: string): Promise<() => Promise<void>>
}

/** What the message about a folder in use begins with. */
export const inUse = (folder: string, holder: string): string =>
  `"${folder}" is being written by another run (${holder}); wait until it ends or stop it, or choose another folder`
