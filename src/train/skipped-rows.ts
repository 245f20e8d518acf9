/** @file Rows that were left out because they have nothing to learn, each told once. */
const SHOWN = 3

export class SkippedRows {
  private readonly known = new Set<string>()
  private fresh: string[] = []

  readonly add = ({ file, line }: { readonly file: string; readonly line: number }): void => {
    const place = `${file}, line ${line}`
    if (this.known.has(place)) return
    this.known.add(place)
    this.fresh.push(place)
  }

  /** A message about the rows since the last call, or undefined if there is none. */
  take(): string | undefined {
    const { fresh } = this
    if (fresh.length === 0) return undefined
    this.fresh = []
    const places = fresh.slice(0, SHOWN).join('; ') + (fresh.length > SHOWN ? '; …' : '')
    return `left out ${fresh.length} ${fresh.length === 1 ? 'row' : 'rows'} without a token to learn: ${places}`
  }
}
