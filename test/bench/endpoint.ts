import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { Endpoint } from '@espalier/agent/serve/endpoint.js'
import { networkBytes } from '../agent/support/models.js'

export const about =
  "Triton's client against the agent's endpoint across swaps: --python (python3 with tritonclient[http]), --requests (10000), --swaps (5), --clients (4)"

const WIDTH = 256

/** Counts what became of each request while variants are swapped under the client. */
export default async function endpoint(options: Readonly<Record<string, string>>): Promise<object> {
  const { requests = '10000', swaps = '5', clients = '4' } = options
  const folder = mkdtempSync(join(tmpdir(), 'espalier-bench-'))
  const child = new URL(import.meta.resolve('@espalier/agent/serve/child.js'))
  const lines: string[] = []
  const served = new Endpoint({ port: 0, child, log: (line) => lines.push(line) })
  try {
    const variants = Array.from({ length: Number(swaps) + 1 }, (_, i) => variant(folder, i + 1))
    const url = `127.0.0.1:${await served.listen()}`
    served.serve({ folder: variants[0] })
    while ((await fetch(`http://${url}/v2/health/ready`)).status !== 200) await sleep(50)
    const settings = { url, width: WIDTH, clients: Number(clients), requests: Number(requests) }
    const args = ['test/bench/endpoint.py', JSON.stringify(settings)]
    const client = spawn(options.python ?? 'python3', args, { stdio: ['ignore', 'pipe', 'inherit'] })
    const share = settings.requests / variants.length
    const started = performance.now()
    let [last, swapped] = ['{}', 0]
    for await (const line of createInterface(client.stdout)) {
      last = line
      const due = Math.min(variants.length - 1, Math.floor((JSON.parse(line).done ?? 0) / share))
      if (due > swapped) served.serve({ folder: variants[++swapped] })
    }
    const seconds = (performance.now() - started) / 1000
    const { answers, wrong, failed, failures } = JSON.parse(last)
    const answered = Object.values<number>(answers).reduce((a, b) => a + b, 0)
    return {
      requests: answered + failures,
      answered,
      perSecond: Math.round(answered / seconds),
      answers,
      wrong,
      failures,
      failed,
    }
  } finally {
    await served.close()
    rmSync(folder, { recursive: true })
  }
}

function variant(root: string, version: number): string {
  const folder = join(root, `v${version}`)
  mkdirSync(folder)
  writeFileSync(join(folder, 'model.onnx'), networkBytes(WIDTH, 1, version))
  writeFileSync(join(folder, 'manifest.json'), JSON.stringify({ model: 'digits', version }))
  return folder
}
