import { attacks } from './attackers.js'
import { hurl, type Login } from './packets.js'

/** What the process is asked to do: one of `attacks` for so long, or mutated packets of the seeds from 1 to `packets`. */
export interface Order {
  readonly port: number
  readonly logins: readonly Login[]
  readonly attack?: string
  readonly forMs?: number
  readonly packets?: number
}

/** An attacker in a process of its own, so that its haste is not the victims'. */
process.once('message', async ({ port, logins, attack, forMs = 5_000, packets = 0 }: Order) => {
  const found = Object.entries(attacks).find(([name]) => name === attack)?.[1]
  const seeds = Array.from({ length: packets }, (_, n) => n + 1)
  const seen = found ? await found(port, logins[0], forMs) : await hurl(port, logins, seeds)
  process.send?.(seen, () => process.disconnect())
})
