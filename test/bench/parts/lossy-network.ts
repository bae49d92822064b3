import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath, pathToFileURL } from 'node:url'

/**
 * A loopback of packets as Ethernet has them, of which nftables drops a share at random as they come in; netem is not in
 * every kernel. A packet that the kernel would let pass as many in one (GSO) would be lost as many.
 */
const loopback = (loss: number) => `
set -e
ip link set dev lo mtu 1500 gso_max_segs 1 up
nft -f - <<RULES
table inet lossy {
  counter came {}
  counter lost {}
  chain in {
    type filter hook input priority 0
    counter name came
    numgen random mod 10000 < ${Math.round(loss * 10_000)} counter name lost drop
  }
}
RULES
"$@"
nft -j list counters >&3
`

/**
 * Runs a benchmark, by its module's address, with all its processes in a network namespace of their own that loses this share
 * of its packets. Needs root, iproute2 and nftables.
 * @returns what it returned, and how many packets there were and were lost
 */
export async function inLossyNetwork(
  bench: string,
  { loss, ...options }: Readonly<Record<string, string>>,
): Promise<object> {
  const again = [process.execPath, fileURLToPath(import.meta.url), bench, JSON.stringify(options)]
  const args = ['--net', 'sh', '-c', loopback(Number(loss)), 'sh', ...again]
  const child = spawn('unshare', args, { stdio: ['ignore', 'pipe', 'inherit', 'pipe'] })
  const ended = once(child, 'exit')
  const [result, counted] = await Promise.all([
    text(child.stdio[1]!),
    text(child.stdio[3] as NodeJS.ReadableStream),
  ])
  const [status] = await ended
  if (status !== 0) throw new Error(`a lossy network, or the benchmark in it, ended with ${status}`)
  const { nftables } = JSON.parse(counted) as { nftables: { counter?: { name: string; packets: number } }[] }
  const packets = (name: string) => nftables.find(({ counter }) => counter?.name === name)?.counter?.packets
  return { loss: Number(loss), packets: packets('came'), lostPackets: packets('lost'), ...JSON.parse(result) }
}

// Not awaited: the benchmark imports this module, which would wait for itself.
const [, file, bench, options] = process.argv
if (bench !== undefined && import.meta.url === pathToFileURL(file).href)
  void import(bench)
    .then((module) => module.default(JSON.parse(options)))
    .then((result) => console.log(JSON.stringify(result)))
