/** @file An adapter as a name meant it when a request came: it stays for that request, whatever the name means later. */

/** An adapter that requests can name. */
export interface RegisteredAdapter {
  /** By which requests name it. */
  readonly name: string
  /** A number of its own, in the order of loading: llama.cpp's clients name adapters by it. */
  readonly id: number
  /** Where it was loaded from: a folder or a hub id. */
  readonly path: string
  /** The largest rank of its layers. */
  readonly rank: number
  /** How much it counts in requests that name no adapter; 0 is not at all. */
  readonly defaultScale: number
  /** The base that it was trained on, as its configuration calls it. */
  readonly base: string | undefined
}

export class LoadedAdapter {
  private uses = 0
  private reservations = 0
  private retirement: { readonly done: Promise<void>; readonly finish: () => void } | undefined

  /**
   * @param key its name in the set, where it is while it is in memory
   * @param onLast told once, when it was retired and nobody uses it any more
   */
  constructor(
    public registered: RegisteredAdapter,
    readonly key: string,
    private readonly onLast: () => void,
  ) {}

  /** Whether requests have it that came before the name meant another, or nothing: its numbers are nowhere else. */
  get isLeftOver(): boolean {
    return this.retirement !== undefined && this.uses > 0
  }

  /** Whether nobody has it or can ask for it. */
  get isGone(): boolean {
    return this.retirement !== undefined && this.uses === 0
  }

  /** Whether it is needed in memory. */
  get isReserved(): boolean {
    return this.reservations > 0
  }

  /** A request has it, waiting or running. */
  use(): void {
    this.uses++
  }

  /** The request is done. */
  release(): void {
    this.uses--
    this.leaveIfIdle()
  }

  /** A request needs it in memory now. */
  reserve(): void {
    this.reservations++
  }

  /** The request does not any more. */
  free(): void {
    this.reservations--
  }

  /** Nobody new will use it. Resolves when it is gone. */
  retire(): Promise<void> {
    if (this.retirement === undefined) {
      let finish = (): void => undefined
      const done = new Promise<void>((resolve) => (finish = resolve))
      this.retirement = { done, finish }
      this.leaveIfIdle()
    }
    return this.retirement.done
  }

  private leaveIfIdle(): void {
    if (this.uses > 0 || this.retirement === undefined) return
    this.onLast()
    this.retirement.finish()
  }
}
