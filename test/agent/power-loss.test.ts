import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Agent } from '@espalier/agent/agent.js'
import type { Reported } from '@espalier/shared/messages/index.js'
import t from 'tap'
import { ForgetfulDisk, restore } from './support/disk.js'
import { testModel } from './support/models.js'
import { optionsOf } from './support/options.js'
import { TestService } from './support/service.js'

const top1 = (value: number) => ({ value, n: 10_000 })
const fair = testModel('fair', 40, { top1: top1(0.9) })
const good = testModel('good', 48, { top1: top1(0.95) })
const best = testModel('best', 56, { top1: top1(0.99) })
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

/** The life of a device from its first document to its third variant: what each power cut in it would leave. */
async function life() {
  const service = await TestService.start()
  const root = mkdtempSync(join(tmpdir(), 'espalier-power-'))
  const disk = new ForgetfulDisk(root)
  /** From which call on the device had reported that it runs something. */
  let workingFrom = Number.POSITIVE_INFINITY
  const agent = new Agent(optionsOf(root, service.credential()))
  try {
    const runs = (digest: string) => (r: Reported) => r.state === 'active' && r.active?.variant === digest
    agent.start()
    for (const [i, model] of [fair, good, best].entries()) {
      await service.offer([fair, good, best].slice(0, i + 1))
      if (i === 0) await service.desire()
      await service.until(runs(model.variant.digest))
      if (i === 0) workingFrom = disk.cuts.at(-1)!.after
    }
    await agent.stop()
  } finally {
    disk.end()
    await service.down()
    rmSync(root, { recursive: true })
  }
  return { cuts: disk.cuts, workingFrom, credential: service.credential() }
}

t.test('power lost after any write of a device’s life leaves it a working model', async (t) => {
  const { cuts, workingFrom, credential } = await life()
  t.ok(cuts.length > 150, `${cuts.length} different disks`)
  t.ok(
    cuts.filter(({ after }) => after >= workingFrom).length > 80,
    'many of them after the first activation',
  )
  const known = new Set([fair, good, best].map(({ variant }) => variant.digest))
  const ran = new Map<string, number>()
  for (const { after, call, remains } of cuts) {
    const root = mkdtempSync(join(tmpdir(), 'espalier-cut-'))
    restore(remains, root)
    const judge = (when: string) => {
      const digest = currentDigest(root)
      const isGood = digest === null ? after < workingFrom : known.has(digest)
      if (!isGood) t.fail(`call ${after}, ${call}: ${when}, current is ${digest}`)
      return digest
    }
    judge('before the agent starts')
    const agent = new Agent(optionsOf(root, credential))
    agent.start()
    await agent.stop()
    const digest = judge('once the agent has started')
    ran.set(digest ?? 'nothing', (ran.get(digest ?? 'nothing') ?? 0) + 1)
    rmSync(root, { recursive: true })
  }
  for (const digest of known)
    t.ok((ran.get(digest) ?? 0) > 0, `${ran.get(digest)} came up with ${digest.slice(0, 8)}`)
})

/** What an application would load: the digest of the bytes behind `current`, if its manifest says the same. */
function currentDigest(root: string): string | null {
  try {
    const digest = sha256(readFileSync(join(root, 'current', 'model.onnx')))
    const manifest = JSON.parse(readFileSync(join(root, 'current', 'manifest.json'), 'utf8'))
    return manifest.digest === digest ? digest : `${digest} beside a manifest of ${manifest.digest}`
  } catch {
    return null
  }
}
