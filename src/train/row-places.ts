/** @file Rows of which one thing is to be said, once, however many they are and however often they are read. */
const SHOWN = 3

export class RowPlaces {
  private count = 0
  private readonly first: string[] = []
  private told = false

  readonly add = ({ file, line }: { readonly file: string; readonly line: number }): void => {
    // Every epoch meets them again.
    if (this.told) return
    if (++this.count <= SHOWN) this.first.push(`${file}, line ${line}`)
  }

  /** How many there are, and where the first of them stand; none from the second call on, for rows come again. */
  take(): { readonly count: number; readonly places: string } {
    const { count, first, told } = this
    this.told = true
    return { count: told ? 0 : count, places: first.join('; ') + (count > SHOWN ? '; …' : '') }
  }
}
