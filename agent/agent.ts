import { join } from 'node:path'
import { EspalierError, formatBytes } from '@espalier/shared'
import { profiles } from '@espalier/shared/measure/index.js'
import {
  blocksRequest,
  type CatalogueVariant,
  commandAck,
  encode,
  facts,
  logs,
  maxLogBytes,
  parse,
  type Report,
  reported,
  reportsAck,
  type ServicePresence,
  servicePresence,
  type UnmetWish,
  wish,
} from '@espalier/shared/messages/index.js'
import { publicKeyFrom } from '@espalier/shared/signing.js'
import { type ParsedTopic, topic, topicFilter } from '@espalier/shared/topics.js'
import { Activation } from './activation.js'
import { Dispatch } from './dispatch.js'
import { Documents } from './documents.js'
import { Fetcher } from './fetch/fetcher.js'
import { Hook } from './hook.js'
import { Keeper } from './keeper.js'
import { benchmark } from './measure/benchmark.js'
import { Link } from './net/link.js'
import type { AgentOptions } from './options.js'
import { Orders } from './orders.js'
import { Probation } from './probation.js'
import { knownOf, reportOf } from './report.js'
import { type Held, Status, type Subject } from './status.js'
import { Artifacts } from './store/artifacts.js'
import { diskError } from './store/errors.js'
import { errnoOf, writeAtomic } from './store/files.js'
import { Ledger } from './store/ledger.js'
import { readLog } from './store/log-file.js'
import { Outbox } from './store/outbox.js'
import { Outcomes } from './store/outcomes.js'
import { Trusted } from './trusted.js'

/** Why a document may be refused though it is good: a disk that is full, a clock that is wrong, bytes that a bad link changed. */
const passing: ReadonlySet<string> = new Set([
  'DISK_FULL',
  'DOCUMENT_EXPIRED',
  'MESSAGE_INVALID',
  'SIGNATURE_INVALID',
])

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
  #service: ServicePresence = { epoch: 0, online: false }
  #progressAt = 0
  #lastProblem: string | null = null
  #every: NodeJS.Timeout | null = null
  #refresh: NodeJS.Timeout | null = null
  #catalogueTopic: string | null = null
  #wish: UnmetWish | null = null

  constructor(options: AgentOptions) {
    const { credential, stateDir, clock, timings = {} } = options
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
      onChange: (what) => this.#report(what),
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
      onMessage: (to, payload) => this.#receive(to, payload),
      onBlock: (payload) => this.#fetcher.take(payload),
      onOnline: () => this.#online(),
      onOffline: (error) => this.#offline(error),
      retryMs: timings.reconnectMs,
      keepaliveSeconds: timings.keepaliveSeconds,
    })
    this.#fetcher = new Fetcher({
      artifacts: this.#artifacts,
      clock,
      isServed: () => this.#isServed,
      send: (request) => {
        if (!this.#isServed) return false
        this.#publish(topic('blocksRequest', { device }), encode(blocksRequest, request))
        return true
      },
      service: () => this.#service.blocks ?? { paced: false, broadcasts: false },
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
      onWish: (wish) => {
        this.#wish = wish
        this.#tellWish()
      },
      retryMs: timings.retryMs,
    })
  }

  start(): void {
    const { timings: { everyMs = 3_600_000 } = {} } = this.#options
    this.#followCatalogue()
    this.#link.start()
    this.#dispatch.start()
    this.#keeper.start()
    if (everyMs > 0) this.#every = setInterval(() => this.#keeper.remeasure(), everyMs)
  }

  /** Ends all work and says goodbye; what was under way goes on after the next start. */
  async stop(): Promise<void> {
    if (this.#every) clearInterval(this.#every)
    if (this.#refresh) clearTimeout(this.#refresh)
    this.#dispatch.stop()
    await this.#keeper.stop()
    await this.#link.stop()
    this.#outbox.close()
  }

  #activation(): Activation {
    const { stateDir, benchmark: settings } = this.#options
    const brief = { ...settings, profile: profiles.brief, processes: 1 }
    return new Activation({
      artifacts: this.#artifacts,
      probation: new Probation(stateDir),
      status: this.#status,
      probe: (path, variant, signal) => benchmark(path, this.#knownOf(variant), brief, signal),
      onCurrent: this.#onCurrent(),
    })
  }

  #knownOf(variant: CatalogueVariant) {
    return { ...knownOf(variant), setup: this.#outcomes.setupOf(variant.digest) }
  }

  /** Who is told when another variant is active. */
  #onCurrent(): (digest: string | null) => void {
    const { endpoint, hook: program, stateDir, log } = this.#options
    const onEnd = (failure: EspalierError | null) =>
      failure ? this.#status.fail('hook', failure) : this.#status.clear('hook')
    const hook = program === undefined ? null : new Hook({ program, stateDir, log, onEnd })
    return (digest) => {
      const setup = digest === null ? undefined : this.#outcomes.setupOf(digest)
      endpoint?.serve(digest === null ? null : { folder: this.#artifacts.folderOf(digest), setup })
      hook?.current(digest === null ? null : this.#artifacts.manifest(digest), setup)
    }
  }

  get #isServed(): boolean {
    return this.#link.online && this.#service.online
  }

  #online(): void {
    const { credential, facts: content, log } = this.#options
    log(`connected to ${credential.broker} as ${credential.id}`)
    this.#publish(topic('facts', { device: credential.id }), encode(facts, content), true)
    this.#report('state')
    this.#tellWish()
  }

  #tellWish(): void {
    this.#publish(topic('wish', { device: this.#options.credential.id }), encode(wish, { wish: this.#wish }))
  }

  #offline(error: EspalierError | null): void {
    this.#service = { ...this.#service, online: false }
    const message = error && `${error.code}: ${error.message}`
    if (message && message !== this.#lastProblem) this.#options.log(message)
    this.#lastProblem = message
  }

  /** A message of the broker's: hostile until it is parsed, and never a reason to stop. */
  #receive(to: ParsedTopic, payload: Uint8Array): void {
    switch (to.name) {
      case 'desired':
        this.#take('desired', () => this.#isDesired(payload))
        break
      case 'catalogue':
        this.#take('catalogue', () => {
          if (this.#documents.takeCatalogue(payload)) this.#keeper.changed()
        })
        break
      case 'command':
        this.#take('command', () => this.#obey(payload))
        break
      case 'credential':
        this.#take('credential', () => this.#isRenewed(payload))
        break
      case 'keys':
        this.#take('keys', () => {
          // What was refused under the old keys is asked for again.
          if (this.#trusted.take(payload)) this.#link.refresh()
        })
        break
      case 'reportsAck':
        this.#take('outbox', () => this.#dispatch.acknowledged(parse(reportsAck, payload)))
        break
      case 'servicePresence':
        this.#take('service', () => this.#serviceIs(parse(servicePresence, payload)))
    }
  }

  /** Takes a message in, or notes why it is refused; accepting one takes away what was noted of its kind. */
  #take(subject: Subject, take: () => void): void {
    try {
      take()
      if (subject !== 'outbox' && subject !== 'service') this.#status.clear(subject)
    } catch (e) {
      const error = this.#status.fail(subject, diskError(e, this.#options.stateDir))
      this.#options.log(`${error.code}: ${error.message}`)
      if (passing.has(error.code)) this.#refreshLater()
    }
  }

  /** What is refused for a reason that may pass is retained by the broker: it is asked for again. */
  #refreshLater(): void {
    const { timings: { retryMs: [pauseMs] = [60_000] } = {} } = this.#options
    if (this.#refresh) clearTimeout(this.#refresh)
    this.#refresh = setTimeout(() => this.#link.refresh(), pauseMs)
  }

  /** A presence of a lower epoch is a will that was overtaken by the next birth. */
  #serviceIs(said: ServicePresence): void {
    if (said.epoch < this.#service.epoch) return
    this.#service = said
    if (!said.online) return
    this.#fetcher.resume()
    this.#dispatch.restart()
    this.#keeper.changed()
  }

  #isDesired(payload: Uint8Array): void {
    if (!this.#documents.takeDesired(payload)) return
    this.#followCatalogue()
    this.#report('state')
    this.#keeper.changed()
  }

  #followCatalogue(): void {
    const { desired } = this.#documents
    if (!desired) return
    const wanted = topic('catalogue', { model: desired.model, version: desired.version })
    if (this.#catalogueTopic && this.#catalogueTopic !== wanted) this.#link.unsubscribe(this.#catalogueTopic)
    this.#catalogueTopic = wanted
    this.#link.subscribe(wanted)
  }

  #obey(payload: Uint8Array): void {
    const { order, isNew } = this.#orders.command(payload)
    if (isNew && order.action === 'benchmark') this.#keeper.remeasure()
    if (isNew && order.action === 'select') this.#keeper.reselect()
    if (isNew && order.action === 'logs') this.#sendLogs(order.n)
    const to = topic('commandAck', { device: this.#options.credential.id, n: order.n })
    this.#publish(to, encode(commandAck, { n: order.n, done: true, error: null }))
  }

  #sendLogs(n: number): void {
    const { credential, clock, stateDir } = this.#options
    const text = readLog(join(stateDir, 'logs'), maxLogBytes)
    const content = encode(logs, { n, at: Math.floor(clock.now()), text })
    this.#publish(topic('logs', { device: credential.id }), content)
  }

  #isRenewed(payload: Uint8Array): void {
    const renewed = this.#orders.renewal(payload)
    if (!renewed) return
    this.#options.log('the service has given this device a new password; connecting with it')
    this.#link.renew(renewed)
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
    if (this.#outbox.dropped > dropped) this.#report('state')
    this.#dispatch.pump()
  }

  #held(link: 'current' | 'previous'): Held | null {
    const digest = this.#artifacts.linked(link)
    const manifest = digest === null ? null : this.#artifacts.manifest(digest)
    return manifest && { model: manifest.model, version: manifest.version, variant: manifest.digest }
  }

  /** Tells the disk (for `status`) and the broker what has changed; progress at most once a second. */
  #report(what: 'state' | 'progress'): void {
    const { clock, credential, stateDir, log } = this.#options
    const now = clock.now()
    if (what === 'progress' && now - this.#progressAt < 1000) return
    this.#progressAt = now
    const content = this.#status.reported()
    if (what === 'state') {
      const { state, candidate, error } = content
      log(
        `${state}${candidate ? ` ${candidate.variant.slice(0, 12)}` : ''}${error ? `: ${error.code}: ${error.message}` : ''}`,
      )
      try {
        writeAtomic(join(stateDir, 'reported.json'), `${JSON.stringify(content)}\n`)
      } catch (e) {
        if (errnoOf(e) === undefined) throw e // the disk's own error is on its way to `reported` already
      }
    }
    this.#publish(topic('reported', { device: credential.id }), encode(reported, content), true)
  }

  /** Sends what the next session says anew anyway, so that its loss is no error. */
  #publish(to: string, payload: Buffer, retain = false): void {
    if (!this.#link.online) return
    this.#link.publish(to, payload, { retain }).catch((e: unknown) => {
      if (!(e instanceof EspalierError)) throw e
    })
  }
}
