import { Hook } from './hook.js'
import type { AgentOptions } from './options.js'
import type { Status } from './status.js'
import type { Artifacts } from './store/artifacts.js'
import type { Outcomes } from './store/outcomes.js'

export interface ApplicationsOptions extends Pick<AgentOptions, 'endpoint' | 'hook' | 'stateDir' | 'log'> {
  readonly artifacts: Artifacts
  readonly outcomes: Outcomes
  readonly status: Status
}

/** Who is told when another variant is active, or none: the endpoint and the operator's program. */
export function applications(options: ApplicationsOptions): (digest: string | null) => void {
  const { endpoint, hook: program, stateDir, log, artifacts, outcomes, status } = options
  const hook =
    program === undefined
      ? null
      : new Hook({
          ...{ program, stateDir, log },
          onEnd: (failure) => (failure ? status.fail('hook', failure) : status.clear('hook')),
        })
  return (digest) => {
    const setup = digest === null ? undefined : outcomes.setupOf(digest)
    endpoint?.serve(digest === null ? null : { folder: artifacts.folderOf(digest), setup })
    hook?.current(digest === null ? null : artifacts.manifest(digest), setup)
  }
}
