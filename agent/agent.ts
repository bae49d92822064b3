import { join } from 'node:path'
import { type EspalierError, formatBytes } from '@espalier/shared'
import { profiles } from '@espalier/shared/measure/index.js'
import type { CatalogueVariant, Report } from '@espalier/shared/messages/index.js'
import { publicKeyFrom } from '@espalier/shared/signing.js'
import { topic, topicFilter } from '@espalier/shared/topics.js'
import { Activation } from './activation.js'
import { applications } from './applications.js'
import { Centre } from './centre.js'
import { Dispatch } from './dispatch.js'
import { Documents } from './documents.js'
import { Fetcher } from './fetch/fetcher.js'
import { Inbox } from './inbox.js'
import { Keeper } from './keeper.js'
import { benchmark } from './measure/benchmark.js'
import { Link } from './net/link.js'
import type { AgentOptions } from './options.js'
import { Orders } from './orders.js'
import { Probation } from './probation.js'
import { knownOf, reportOf } from './report.js'
import { type Held, Status } from './status.js'
import { Artifacts } from './store/artifacts.js'
import { diskError } from './store/errors.js'
import { Ledger } from './store/ledger.js'
import { Outbox } from './store/outbox.js'
import { Outcomes } from './store/outcomes.js'
import { Trusted } from './trusted.js'
import { Voice } from './voice.js'

/** The agent: its parts, wired. Each part knows only what it is handed here. */
export class Agent {
  readonly #options: AgentOptions
  readonly #ledger: Ledger
  readonly #trusted: Trusted
  readonly #orders: Orders
  readonly #artifacts: Artifacts
  readonly #documents: Documents
  readonly #outbox: Outbox
  readonly #outcomes: Outcomes
  readonly #status: Status
  readonly #link: Link
  readonly #fetcher: Fetcher
  readonly #dispatch: Dispatch
  readonly #keeper: Keeper
  readonly #voice: Voice
  readonly #inbox: Inbox
  readonly #centre = new Centre()
  #lastProblem: string | null = null
  #every: NodeJS.Timeout | null = null

  constructor(options: AgentOptions) {
    const { credential, stateDir, clock, log, timings = {} } = options
    const device = credential.id
    this.#options = options
    this.#ledger = new Ledger(join(stateDir, 'ledger.json'))
    this.#trusted = new Trusted({
      pinned: publicKeyFrom(credential.servicePublicKey),
      folder: stateDir,
      ledger: this.#ledger,
    })
    const keys = () => this.#trusted.keys(clock.now())
    this.#orders = new Orders({ credential, keys, ledger: this.#ledger, clock, stateDir })
    this.#artifacts = new Artifacts(stateDir)
    this.#artifacts.prepare()
    this.#outbox = new Outbox(join(stateDir, 'outbox'), options.outbox)
    const { runtime, runtimeVersion } = options.facts
    const setups = JSON.stringify(options.benchmark.setups)
    this.#outcomes = new Outcomes(join(stateDir, 'outcomes.json'), `${runtime} ${runtimeVersion} ${setups}`)
    this.#documents = new Documents({
      device,
      keys,
      folder: stateDir,
      ledger: this.#ledger,
      now: () => clock.now(),
    })
    this.#status = new Status({
      clock,
      held: () => ({
        revision: this.#documents.desired?.revision ?? 0,
        active: this.#held('current'),
        previous: this.#held('previous'),
        droppedReports: this.#outbox.dropped,
      }),
      onChange: (what) => this.#voice.changed(what),
    })
    this.#link = new Link({
      credential,
      agentVersion: options.facts.agentVersion,
      clock,
      nextEpoch: () => this.#ledger.nextEpoch(clock.now()),
      subscriptions: [
        topic('keys', {}),
        topic('desired', { device }),
        topic('reportsAck', { device }),
        topic('blocksData', { device }),
        topicFilter('command', { device }),
        topic('credential', { device }),
        topic('servicePresence', {}),
      ],
      onMessage: (to, payload) => this.#inbox.receive(to, payload),
      onBlock: (payload) => this.#fetcher.take(payload),
      onOnline: () => this.#online(),
      onOffline: (error) => this.#offline(error),
      retryMs: timings.reconnectMs,
      keepaliveSeconds: timings.keepaliveSeconds,
    })
    this.#voice = new Voice({
      ...{ device, facts: options.facts, stateDir, clock, link: this.#link, log },
      reported: () => this.#status.reported(),
    })
    this.#fetcher = new Fetcher({
      artifacts: this.#artifacts,
      clock,
      isServed: () => this.#isServed,
      send: (request) => {
        if (!this.#isServed) return false
        this.#voice.asks(request)
        return true
      },
      service: () => this.#centre.blocks,
      crowd: {
        listen: (digest) => this.#link.listen(topicFilter('artifact', { digest })),
        leave: (digest) => this.#link.unlisten(topicFilter('artifact', { digest })),
      },
      heardAt: () => this.#link.heardAt,
      onProgress: (done, total) => this.#status.progress(done, total),
      onDamaged: (error) => this.#status.note('artifact', error),
      patienceMs: timings.blockPatienceMs,
    })
    this.#dispatch = new Dispatch({
      device,
      outbox: this.#outbox,
      clock,
      isServed: () => this.#isServed,
      publish: (to, payload) => this.#link.publish(to, payload),
      onRefused: (refused) =>
        this.#status.note('outbox', {
          code: 'MESSAGE_INVALID',
          message: `the service refused report ${refused[0].id}: ${refused[0].message}`,
        }),
      patienceMs: timings.reportPatienceMs,
    })
    this.#keeper = new Keeper({
      documents: this.#documents,
      artifacts: this.#artifacts,
      outcomes: this.#outcomes,
      activation: this.#activation(),
      fetcher: this.#fetcher,
      status: this.#status,
      clock,
      limits: {
        memoryBytes: options.facts.memoryBudgetBytes,
        p95Ms: options.facts.p95LimitMs,
        top1: options.leastTop1 ?? null,
      },
      goal: options.goal ?? 'accuracy',
      measure: (variant, { incumbent, memoryBytes }, signal) =>
        benchmark(
          this.#artifacts.modelPath(variant.digest),
          { ...this.#knownOf(variant), incumbent, memoryBytes },
          options.benchmark,
          signal,
        ),
      onMeasured: (candidate, measured) =>
        this.#keepReport(reportOf(candidate, measured, device, options.facts, clock.now())),
      onWish: (wish) => this.#voice.wishes(wish),
      retryMs: timings.retryMs,
    })
    this.#inbox = new Inbox({
      ...{ documents: this.#documents, trusted: this.#trusted, orders: this.#orders, centre: this.#centre },
      ...{ link: this.#link, fetcher: this.#fetcher, dispatch: this.#dispatch, keeper: this.#keeper },
      ...{ status: this.#status, voice: this.#voice, stateDir, log, retryMs: timings.retryMs?.[0] },
    })
  }

  start(): void {
    const { timings: { everyMs = 3_600_000 } = {} } = this.#options
    this.#inbox.start()
    this.#link.start()
    this.#dispatch.start()
    this.#keeper.start()
    if (everyMs > 0) this.#every = setInterval(() => this.#keeper.remeasure(), everyMs)
  }

  /** Ends all work and says goodbye; what was under way goes on after the next start. */
  async stop(): Promise<void> {
    if (this.#every) clearInterval(this.#every)
    this.#inbox.stop()
    this.#dispatch.stop()
    await this.#keeper.stop()
    await this.#link.stop()
    this.#outbox.close()
  }

  #activation(): Activation {
    const { stateDir, benchmark: settings } = this.#options
    const brief = { ...settings, profile: profiles.brief, processes: 1 }
    const [artifacts, outcomes, status] = [this.#artifacts, this.#outcomes, this.#status]
    return new Activation({
      ...{ artifacts, status },
      probation: new Probation(stateDir),
      probe: (path, variant, signal) => benchmark(path, this.#knownOf(variant), brief, signal),
      onCurrent: applications({ ...this.#options, artifacts, outcomes, status }),
    })
  }

  #knownOf(variant: CatalogueVariant) {
    return { ...knownOf(variant), setup: this.#outcomes.setupOf(variant.digest) }
  }

  get #isServed(): boolean {
    return this.#link.online && this.#centre.online
  }

  #online(): void {
    const { credential, log } = this.#options
    log(`connected to ${credential.broker} as ${credential.id}`)
    this.#voice.introduce()
  }

  #offline(error: EspalierError | null): void {
    this.#centre.lost()
    const message = error && `${error.code}: ${error.message}`
    if (message && message !== this.#lastProblem) this.#options.log(message)
    this.#lastProblem = message
  }

  #keepReport(report: Report): void {
    const { id, p50Ms, measuredRamBytes } = report
    const { log, stateDir } = this.#options
    const { dropped } = this.#outbox
    try {
      this.#outbox.put(id, report)
      log(`report ${id}: p50 ${p50Ms.toFixed(2)} ms, ${formatBytes(measuredRamBytes)}`)
    } catch (e) {
      const { code, message } = this.#status.fail('outbox', diskError(e, stateDir))
      log(`report ${id} is dropped: ${code}: ${message}`)
    }
    if (this.#outbox.dropped > dropped) this.#voice.changed('state')
    this.#dispatch.pump()
  }

  #held(link: 'current' | 'previous'): Held | null {
    const digest = this.#artifacts.linked(link)
    const manifest = digest === null ? null : this.#artifacts.manifest(digest)
    return manifest && { model: manifest.model, version: manifest.version, variant: manifest.digest }
  }
}
