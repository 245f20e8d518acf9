/** @file Training runs of several engines side by side: each in its process, by turns, so that noise hits all alike. */
import type { Case } from './cases.js'
import { Child } from './child.js'
import type { Engine, Step } from './protocol.js'
import { spread, type Spread } from './statistics.js'

export interface EngineResult {
  readonly engine: Engine
  readonly versions: string
  readonly secondsPerStep: Spread
  readonly cpuSecondsPerStep: Spread
  readonly tokensPerSecond: Spread
  /** How many times as long as ours the same turn took, turn by turn; undefined for ours itself. */
  readonly speedup?: Spread
  readonly peakBytes: number
  readonly losses: readonly number[]
  readonly evalBefore?: number
  readonly evalAfter?: number
}

export interface CaseResult {
  readonly name: string
  readonly title: string
  readonly engines: readonly EngineResult[]
}

interface Track {
  readonly child: Child
  readonly versions: string
  readonly losses: number[]
  /** Steps that count, turn by turn. */
  readonly turns: (readonly Step[])[]
  peakBytes: number
  evalBefore?: number
  evalAfter?: number
}

const seconds = (turn: readonly Step[]): number => turn.reduce((sum, step) => sum + step.seconds, 0)
const tokens = (turn: readonly Step[]): number => turn.reduce((sum, step) => sum + step.tokens, 0)

/** Runs a case on all engines. Warm-up (compilation, first steps of each) does not count. */
export async function runCase(
  spec: Case,
  engines: readonly Engine[],
  threads: number,
  say: (text: string) => void,
): Promise<CaseResult> {
  const tracks: Track[] = []
  for (const engine of engines) {
    const child = new Child(engine)
    const { versions = '', peakBytes } = await child.ask({ ask: 'prepare', case: spec, threads, engine })
    tracks.push({ child, versions, peakBytes, losses: [], turns: [] })
  }
  const evaluate = async (key: 'evalBefore' | 'evalAfter'): Promise<void> => {
    if (spec.evalData !== undefined) for (const track of tracks) track[key] = (await track.child.ask({ ask: 'evaluate' })).loss!
  }
  await evaluate('evalBefore')
  for (let done = 0; done < spec.steps;) {
    const count = done < spec.warmupSteps ? spec.warmupSteps : Math.min(spec.stepsPerTurn, spec.steps - done)
    for (const track of tracks) {
      const answer = await track.child.ask({ ask: 'steps', count })
      track.losses.push(...answer.steps!.map((step) => step.loss))
      if (done >= spec.warmupSteps) track.turns.push(answer.steps!)
      // Before the evaluation, whose batches are others.
      track.peakBytes = answer.peakBytes
    }
    done += count
    say(`${spec.name} ${done}/${spec.steps}: ${tracks.map((t) => `${t.child.engine} ${lastTurn(t)}`).join(', ')}`)
  }
  await evaluate('evalAfter')
  for (const track of tracks) await track.child.quit()
  const ours = tracks.find((t) => t.child.engine === 'ours')
  return { name: spec.name, title: spec.title, engines: tracks.map((track) => summarize(track, ours)) }
}

const lastTurn = ({ turns }: Track): string => {
  const turn = turns.at(-1)
  return turn === undefined ? 'warm' : `${(seconds(turn) / turn.length).toFixed(3)} s`
}

function summarize(track: Track, ours: Track | undefined): EngineResult {
  const { child, versions, turns, losses, peakBytes, evalBefore, evalAfter } = track
  return {
    ...{ engine: child.engine, versions, losses, peakBytes },
    secondsPerStep: spread(turns.map((turn) => seconds(turn) / turn.length)),
    cpuSecondsPerStep: spread(turns.map((turn) => turn.reduce((sum, step) => sum + step.cpuSeconds, 0) / turn.length)),
    tokensPerSecond: spread(turns.map((turn) => tokens(turn) / seconds(turn))),
    ...(ours !== undefined &&
      track !== ours && { speedup: spread(turns.map((turn, i) => seconds(turn) / seconds(ours.turns[i]!))) }),
    ...(evalBefore !== undefined && { evalBefore }),
    ...(evalAfter !== undefined && { evalAfter }),
  }
}
