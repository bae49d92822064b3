import { asEspalierError, type EspalierError } from '@espalier/shared'
import { blockHeader } from '@espalier/shared/messages/index.js'
import type { Broker } from '../broker/index.js'
import type { BlockReader } from './artifact-blocks.js'
import type { Download } from './block-server.js'

export interface CrowdSettings {
  /** How many must listen for one artifact before its blocks go out once for all. */
  readonly from?: number
  /** How long a pass waits for those who come a little later, ms. */
  readonly joinMs?: number
}

export interface CrowdsOptions {
  readonly broker: Broker
  readonly reader: BlockReader
  readonly settings?: CrowdSettings
  /** A block was sent for many. */
  readonly sent: (bytes: number) => void
  /** Gives a download back, to be served by itself, or refused. */
  readonly release: (download: Download, failure?: EspalierError) => void
}

interface Crowd {
  /** Who listens, and when it last asked. */
  readonly heard: Map<string, number>
  readonly members: Set<Download>
  isPassing: boolean
}

const fewest = 8
const forgetMs = 10_000
/** How often a pass looks whether its members can take more. */
const lookMs = 2
/** How long a block waits for the slower half of a crowd, and all blocks of a pass together. */
const graceMs = 100
const graceOfPassMs = 1_000
/** How many blocks a pass may be ahead of what a member has asked for: windows open slowly. */
const debtBlocks = 16
/** How long a crowd of which most take nothing is waited for. */
const stillMs = 2_000

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/**
 * Devices that fetch one artifact at the same time and listen on its topic. Once there are enough, its blocks go
 * out in one pass over what any of them lacks, at the pace of most: whoever holds the others up for longer than a moment is sent
 * on alone, and what a member missed it asks for by itself.
 */
export class Crowds {
  readonly #options: CrowdsOptions
  readonly #crowds = new Map<string, Crowd>()

  constructor(options: CrowdsOptions) {
    this.#options = options
  }

  /** Takes note of one that listens; true if a pass looks after it from now on. */
  join(download: Download): boolean {
    const { from = fewest } = this.#options.settings ?? {}
    const crowd = this.#crowd(download.digest)
    crowd.heard.set(download.device, performance.now())
    if (!crowd.isPassing) {
      forgetOld(crowd)
      if (crowd.heard.size < from) return false
      crowd.isPassing = true
      void this.#run(download.digest, crowd)
    }
    if (download.by !== 'nobody') return false // its own loop hands it over
    this.#admit(crowd, download)
    return true
  }

  /** Whether a download that listens goes over to a pass now. */
  takes(download: Download): boolean {
    const crowd = this.#crowds.get(download.digest)
    if (!crowd?.isPassing || !crowd.heard.has(download.device)) return false
    this.#admit(crowd, download)
    return true
  }

  leave(download: Download): void {
    const crowd = this.#crowds.get(download.digest)
    crowd?.heard.delete(download.device)
    if (crowd?.members.delete(download)) download.by = 'nobody'
  }

  #crowd(digest: string): Crowd {
    const known = this.#crowds.get(digest)
    if (known) return known
    for (const [other, crowd] of this.#crowds) {
      forgetOld(crowd)
      if (crowd.heard.size === 0 && !crowd.isPassing) this.#crowds.delete(other)
    }
    const crowd: Crowd = { heard: new Map(), members: new Set(), isPassing: false }
    this.#crowds.set(digest, crowd)
    return crowd
  }

  #admit(crowd: Crowd, download: Download): void {
    download.by = 'crowd'
    crowd.members.add(download)
  }

  async #run(digest: string, crowd: Crowd): Promise<void> {
    const { from = fewest, joinMs = 250 } = this.#options.settings ?? {}
    let failure: EspalierError | undefined
    try {
      await sleep(joinMs)
      // Those who came during a pass lack its beginning: they may be enough for another.
      while (crowd.members.size >= from && (await this.#pass(digest, crowd)));
    } catch (thrown) {
      failure = asEspalierError(thrown)
    }
    crowd.isPassing = false
    crowd.heard.clear()
    for (const download of crowd.members) this.#sendAlone(crowd, download, failure)
  }

  /** Each block that a member lacks, in order. @returns whether there were any. */
  async #pass(digest: string, crowd: Crowd): Promise<boolean> {
    const { reader, broker, sent } = this.#options
    let graceLeft = graceOfPassMs
    let any = false
    for (let index = lowest(crowd, 0); index !== undefined; index = lowest(crowd, index + 1)) {
      const waited = await this.#untilReady(crowd, index, Math.min(graceMs, graceLeft))
      if (waited === undefined) return false
      graceLeft -= waited
      const takers = [...crowd.members].filter(({ lacks }) => lacks.has(index))
      if (takers.length === 0) continue
      for (const taker of takers) {
        taker.lacks.delete(index)
        taker.passed.add(index)
        taker.credit--
      }
      const block = await reader.block(digest, index)
      const header = blockHeader('block', digest, index, block.length)
      await broker.broadcast(
        takers.map(({ device }) => device),
        { digest, index },
        header,
        block,
      )
      sent(block.length)
      any = true
    }
    return any
  }

  /**
   * Waits until the members can take a block: as long as it takes most of them, and `grace` ms for the others, who are then
   * sent on alone. Time is counted in looks, so that what holds up this process is held against nobody.
   * @returns how long the others were waited for, ms; undefined if most stand still.
   */
  async #untilReady(crowd: Crowd, index: number, grace: number): Promise<number | undefined> {
    const { broker } = this.#options
    const isReady = ({ device, lacks, credit }: Download) =>
      !lacks.has(index) || (credit > -debtBlocks && broker.hasRoom(device))
    let [forMost, forOthers] = [0, 0]
    for (;;) {
      const late = [...crowd.members].filter((member) => !isReady(member))
      const isMost = 2 * late.length > crowd.members.size
      if (isMost && forMost >= stillMs) return
      if (!isMost && (late.length === 0 || forOthers >= grace)) {
        for (const member of late) this.#sendAlone(crowd, member)
        return forOthers
      }
      if (isMost) forMost += lookMs
      else forOthers += lookMs
      await sleep(lookMs)
    }
  }

  /** Tells a device that it is served by itself from now on; where blocks may be lost on the way, it then says which were. */
  #sendAlone(crowd: Crowd, download: Download, failure?: EspalierError): void {
    const { broker, release } = this.#options
    const { device, digest } = download
    crowd.members.delete(download)
    crowd.heard.delete(device)
    void broker.sendBlock(device, blockHeader('alone', digest, 0, 0), new Uint8Array())
    release(download, failure)
  }
}

function lowest({ members }: Crowd, from: number): number | undefined {
  let least: number | undefined
  for (const { lacks } of members) {
    if (lacks.has(from)) return from
    const next = lacks.next(from)
    if (next !== undefined && (least === undefined || next < least)) least = next
  }
  return least
}

function forgetOld({ heard }: Crowd): void {
  const oldest = performance.now() - forgetMs
  for (const [device, at] of heard) if (at < oldest) heard.delete(device)
}
