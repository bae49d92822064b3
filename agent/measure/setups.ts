import { asEspalierError } from '@espalier/shared'
import { requireGolden } from '@espalier/shared/measure/golden.js'
import {
  type ProcessOptions,
  profiles,
  type Setup,
  type Shapes,
  withModel,
} from '@espalier/shared/measure/index.js'
import type { Golden } from '@espalier/shared/messages/index.js'
import { inTurn } from './in-turn.js'

/** What may be tried: the operator may have said how many threads, and which provider. */
export interface SetupChoice {
  /** Cores that are not threads of one another, and that we may use. */
  readonly cores: number
  /** Execution providers that open a session here; where nobody knows, the runtime decides. */
  readonly providers: readonly string[]
  readonly threads: number | null
  readonly provider: string | null
}

/** Setups that are worth a trial, the most frugal first: one thread, two, and all cores; another provider computes elsewhere. */
export function setupsOf({ cores, providers, threads, provider }: SetupChoice): Setup[] {
  const counts =
    threads === null ? [1, 2, cores].filter((n, i, all) => n <= cores && all.indexOf(n) === i) : [threads]
  const others = providers.filter((name) => name !== 'cpu')
  const known = others.length < providers.length ? ['cpu', ...others] : others
  const named = provider !== null ? [provider] : known.length > 0 ? known : [undefined]
  return named.flatMap((name) =>
    (name === 'cpu' || name === undefined ? counts : counts.slice(0, 1)).map((n) => ({
      threads: n,
      provider: name,
    })),
  )
}

/** More threads, or another provider, have to take at most this share of the time that fewer do. */
const CLEARLY_FASTER = 0.9
const TRIAL = { ...profiles.brief, queries: 60, leastSeconds: 0.3 }

export interface TrialOptions extends ProcessOptions {
  readonly root: string
  readonly shapes?: Shapes
  readonly golden?: Golden
  /** What the model may take, bytes: a setup that takes more is out, unless the first does too. */
  readonly memoryBytes?: number
  readonly log: (line: string) => void
}

interface Champion {
  readonly setup: Setup
  readonly memoryBytes: number
  readonly p50Ms: number
}

/**
 * In which of the setups the model in the file `path` answers fastest: each is held against the best before it, in turn
 * where there is memory for both. One that does not load the model, or does not answer what is golden, is out; where that
 * is so of all, it is the first, and the benchmark will say why.
 * @throws the signal's reason
 */
export async function bestSetup(
  path: string,
  setups: readonly Setup[],
  options: TrialOptions,
): Promise<Setup> {
  let best: Champion | null = null
  for (const setup of setups) {
    if (setups.length === 1) break
    try {
      best = await heldAgainst(best, path, setup, options)
    } catch (e) {
      options.signal?.throwIfAborted()
      options.log(
        `${setup.provider ?? 'the runtime'} with ${setup.threads} threads is left out: ${asEspalierError(e).message}`,
      )
    }
  }
  return best?.setup ?? setups[0]
}

async function heldAgainst(
  best: Champion | null,
  path: string,
  setup: Setup,
  options: TrialOptions,
): Promise<Champion> {
  const { shapes, golden, memoryBytes = Number.POSITIVE_INFINITY } = options
  return withModel(path, { ...options, ...setup }, async (process) => {
    const { measuredRamBytes } = await process.memory()
    if (golden) requireGolden(golden, await process.golden())
    if (best && measuredRamBytes > Math.max(memoryBytes, best.memoryBytes)) return best
    const both = best && (await inTurn(process, { path, shapes, ...best }, { ...options, profile: TRIAL }))
    const { p50Ms } = both?.own ?? (await process.latency(TRIAL))
    const isFaster = !best || p50Ms <= CLEARLY_FASTER * (both?.its.p50Ms ?? best.p50Ms)
    return isFaster ? { setup, memoryBytes: measuredRamBytes, p50Ms } : best
  })
}
