/** @file What a session is fed. */
import type { HostTensor } from '../graph/types.js'

/** Only what the graph asks for: an architecture without positions takes none, a graph without dropout no seed. */
export const only = (feeds: Readonly<Record<string, HostTensor>>, inputs: ReadonlySet<string>): Record<string, HostTensor> =>
  Object.fromEntries(Object.entries(feeds).filter(([name]) => inputs.has(name)))
