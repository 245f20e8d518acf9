/** @file Trackers by their names. */
import { InvalidOptionError } from '../errors.js'
import type { Files } from '../io/files.js'
import { MlflowTracker } from './mlflow.js'
import { TensorBoardTracker } from './tensorboard.js'
import { TrackioTracker } from './trackio.js'
import type { Tracker } from './tracker.js'
import type { TrackerName } from './names.js'
import type { Variables } from './variables.js'

export { trackerNames, type TrackerName } from './names.js'
export { EVENT_FILE } from './tensorboard.js'
export type { RunSettings, Scalars, TrackedEnd, TrackedRun, Tracker } from './tracker.js'
export type { Variables } from './variables.js'

/** What trackers need of their surroundings. */
export interface TrackerPlaces {
  readonly files: Files
  /** Where event files go. */
  readonly folder: string | undefined
  /** Where the servers are, and what they know us by. */
  readonly variables: Variables
}

/** Opens a tracker; nothing is asked or written before it is told that a run begins. @throws InvalidOptionError saying what is missing */
export function openTracker(name: TrackerName, { files, folder, variables }: TrackerPlaces): Tracker {
  switch (name) {
    case 'tensorboard':
      if (folder === undefined)
        throw new InvalidOptionError('reportTo "tensorboard" writes files: give out, or loggingDir (--logging-dir)')
      return new TensorBoardTracker(files, folder)
    case 'mlflow':
      return new MlflowTracker(variables)
    case 'trackio':
      return new TrackioTracker(variables)
  }
}
