import { encode, reports } from '@espalier/shared/messages/index.js'
import { topic } from '@espalier/shared/topics.js'
import { reportOf } from '../centre.js'
import { connectDevice, type TestDevice } from '../mqtt.js'

/** A device that does its work while others do harm: it reports, and waits until the service says that it is stored. */
export class Honest {
  readonly #waits: number[] = []
  #n = 0

  private constructor(
    readonly id: string,
    readonly device: TestDevice,
  ) {}

  static async join(url: string, id: string, password: string): Promise<Honest> {
    const device = await connectDevice(url, id, password)
    await device.client.subscribeAsync(topic('reportsAck', { device: id }))
    return new Honest(id, device)
  }

  /** Reports once. @returns how long it took until the report was stored, ms */
  async report(withinMs = 30_000): Promise<number> {
    const n = ++this.#n
    const began = performance.now()
    const list = { reports: [reportOf(this.id, `h${n}`)] }
    await this.device.client.publishAsync(topic('reports', { device: this.id, n }), encode(reports, list), {
      qos: 1,
    })
    await this.device.messages('reports/ack', n, withinMs)
    const ms = performance.now() - began
    this.#waits.push(ms)
    return ms
  }

  /** Reports again and again, with pauses, until `done` settles. */
  async during<T>(done: Promise<T>, pauseMs = 20): Promise<T> {
    let over = false
    const end = done.finally(() => {
      over = true
    })
    while (!over) {
      await this.report()
      await new Promise((resolve) => setTimeout(resolve, pauseMs))
    }
    return end
  }

  /** How often it was served so far, and how long that took. */
  get waits(): { served: number; medianMs: number; longestMs: number } {
    const sorted = this.#waits.toSorted((a, b) => a - b)
    return {
      served: sorted.length,
      medianMs: Math.round(sorted[sorted.length >> 1] ?? 0),
      longestMs: Math.round(sorted.at(-1) ?? 0),
    }
  }
}
