import { createHash } from 'node:crypto'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ArtifactStore, type NewVariant, Variants } from '@espalier/server/catalog/index.js'
import { readConfig } from '@espalier/server/config.js'
import { Events } from '@espalier/server/events.js'
import { type Service, startService } from '@espalier/server/main.js'
import { Retention } from '@espalier/server/retention/index.js'
import { type Database, openDatabase } from '@espalier/server/store/index.js'
import pino from 'pino'
import t, { type Test } from 'tap'
import { figuresOf, register } from '../support/house.js'
import { until } from '../support/mqtt.js'
import { call } from '../support/service.js'
import { ServiceProcess } from '../support/up.js'

const dayMs = 24 * 3600 * 1000
const longAgo = Date.now() - 2 * 365 * dayMs
const ports = { inputs: [], outputs: [], preprocess: null, labels: null }
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

/** A data folder with `versions` of the model digits; what a variant's file holds is its name. */
class House {
  readonly db: Database
  readonly artifacts: ArtifactStore
  readonly variants: Variants

  constructor(
    readonly data: string,
    versions: number,
  ) {
    this.db = openDatabase(join(data, 'espalier.db'))
    this.artifacts = new ArtifactStore(join(data, 'artifacts'))
    this.variants = new Variants(this.db, new Events())
    this.db.prepare("INSERT INTO models VALUES ('digits', 'digits', 1)").run()
    const version = this.db.prepare(
      "INSERT INTO modelVersions (model, version, digest, fileBytes, facts, createdAt) VALUES ('digits', ?, ?, 1, '{}', 1)",
    )
    for (let v = 1; v <= versions; v++) version.run(v, sha256('dense'))
  }

  /** @returns the variant's id. */
  async add(version: number, name: string, holds = name): Promise<string> {
    const drawing = await this.file(`drawing of ${holds}`)
    const of: NewVariant = {
      ...{ name, model: 'digits', version, compilation: null, digest: await this.file(holds), ports },
      ...{ figures: { ...figuresOf(1, 0.9, 1), fileBytes: holds.length }, drawn: { drawing, undrawn: null } },
    }
    return this.variants.add([of])[0]
  }

  async file(holds: string): Promise<string> {
    const path = join(this.data, 'made')
    writeFileSync(path, holds)
    const staged = await this.artifacts.take(path)
    await staged.keep()
    return staged.digest
  }
}

/** As if these had been found unused so long ago. */
const age = (data: string) => {
  const db = openDatabase(join(data, 'espalier.db'))
  db.prepare('UPDATE variants SET unusedSince = ?').run(longAgo)
  db.close()
}
const filesOf = (data: string) =>
  readdirSync(join(data, 'artifacts'), { recursive: true, encoding: 'utf8' })
    .map((path) => path.slice(3))
    .filter((name) => name.length === 64)
const namesOf = async ({ url }: Service) =>
  (await call(url, 'GET', '/v1/variants?limit=100')).body.items.map(({ name }) => name).sort()

async function started(t: Test, data: string): Promise<Service> {
  const config = readConfig({ data, port: '0', mqttPort: '0' }, {})
  const service = await startService(config, pino({ level: 'silent' }))
  t.teardown(() => service.close())
  return service
}

t.test('what devices run, ran before and fetch stays, and so does what they may choose from', async (t) => {
  const data = t.testdir()
  const house = new House(data, 3)
  for (const name of ['active', 'previous', 'candidate', 'unheard-of', 'same bytes']) await house.add(1, name)
  await house.add(2, 'of the group')
  await house.add(3, 'newest')
  await house.add(3, 'namesake', 'same bytes')
  for (const name of ['taken back', 'taken back but runs']) house.variants.withdraw(await house.add(3, name))
  const orphan = await house.file('nobody stored what this is about')
  house.db.close()

  const first = await started(t, data)
  await call(first.url, 'PUT', '/v1/groups/hall', { devices: [] })
  await call(first.url, 'PUT', '/v1/groups/hall/assignment', { model: 'digits', version: 2 })
  const device = await (await register(t, first, 'gate'))()
  const held = (name: string) => ({ model: 'digits', version: 1, variant: sha256(name) })
  const [active, previous, candidate] = ['active', 'previous', 'candidate'].map(held)
  await device.says({}, { active, previous, candidate, state: 'fetching' })
  const other = await (await register(t, first, 'yard'))()
  await other.says({}, { active: held('taken back but runs') })
  await until(() => !existsSync(house.artifacts.path(orphan)))
  const { items } = (await call(first.url, 'GET', '/v1/variants')).body
  t.ok(items.find(({ name }) => name === 'unheard-of')?.unusedSince, 'it is told since when it is unused')
  t.equal(items.length, 10, 'and kept for a time')
  await first.close()

  age(data)
  const second = await started(t, data)
  const kept = [
    'active',
    'candidate',
    'namesake',
    'newest',
    'of the group',
    'previous',
    'taken back but runs',
  ]
  await until(async () => (await namesOf(second)).length === kept.length)
  t.same(await namesOf(second), kept)
  await until(() => filesOf(data).length === 2 * kept.length)
  t.same(
    new Set(filesOf(data)),
    new Set(
      [...kept.filter((name) => name !== 'namesake'), 'same bytes']
        .flatMap((name) => [name, `drawing of ${name}`])
        .map(sha256),
    ),
    'their files, and no others',
  )
  const [one] = (await call(second.url, 'GET', '/v1/variants?version=1')).body.items
  const artifact = await fetch(`${second.url}/v1/variants/${one.id}/artifact`)
  t.equal(await artifact.text(), one.name)
})

t.test('more than the bound of bytes goes before its time, what was unused longest first', async (t) => {
  const house = new House(t.testdir(), 2)
  const ids: string[] = []
  for (let i = 0; i < 6; i++) ids.push(await house.add(1, `${i}`.repeat(100)))
  await house.add(2, 'newest')
  let now = Date.now()
  const { db, artifacts, variants } = house
  const published = async () => {}
  const bounded = (keepBytes: number, keepMs = 0) =>
    new Retention({ db, artifacts, variants, published, keepBytes, keepMs, now: () => now })
  t.match(await bounded(250).sweep(), { variants: 0, files: 0 }, 'not on the day it was found')
  db.prepare('UPDATE variants SET unusedSince = unusedSince - 1000 WHERE id IN (?, ?)').run(ids[4], ids[1])
  now += dayMs + 1
  t.match(await bounded(0).sweep(), { variants: 0 }, 'no bound, no end')
  t.match(await bounded(400).sweep(), { variants: 2 })
  const left = () => variants.list({ version: 1 }).items.map(({ id }) => id)
  t.same(left().sort(), [ids[0], ids[2], ids[3], ids[5]].sort())
  t.match(await bounded(400).sweep(), { variants: 0, files: 0 }, 'what this process stored stays for a day')
  const again = new ArtifactStore(join(house.data, 'artifacts'))
  const swept = await new Retention({
    db,
    artifacts: again,
    variants,
    published,
    keepBytes: 0,
    keepMs: dayMs,
    now: () => now,
  }).sweep()
  t.match(swept, { variants: 4, files: 12 })
  t.equal(filesOf(house.data).length, 2)
  db.close()
})

t.test(
  'killed at any moment it leaves no variant without its file, and the next sweep ends what it began',
  async (t) => {
    const data = t.testdir()
    const versions = 40
    const house = new House(data, versions)
    for (let v = 1; v <= versions; v++) for (const name of ['a', 'b']) await house.add(v, `${name} of ${v}`)
    house.db.close()
    const service = new ServiceProcess(data)
    t.teardown(() => service.kill())
    await service.start()
    await until(async () => {
      const { items } = (await call(service.url, 'GET', '/v1/variants?limit=1&version=39')).body
      return items[0]?.unusedSince != null
    })
    await service.kill()
    age(data)
    const left = () => {
      const db = openDatabase(join(data, 'espalier.db'))
      const digests = db
        .prepare('SELECT digest FROM variants UNION SELECT drawing FROM variants')
        .pluck()
        .all()
      const offers = db.prepare('SELECT variants FROM catalogues').pluck().all() as string[]
      db.close()
      const offered = offers.flatMap((text) =>
        (JSON.parse(text) as { digest: string }[]).map(({ digest }) => digest),
      )
      return { rows: digests as string[], offered }
    }
    const counts: number[] = []
    for (const ms of [40, 200]) {
      await service.start()
      await new Promise((resolve) => setTimeout(resolve, ms))
      await service.kill()
      const { rows, offered } = left()
      const files = new Set(filesOf(data))
      t.ok(
        [...rows, ...offered].every((digest) => files.has(digest)),
        `after ${ms} ms: ${rows.length} of ${files.size} files named`,
      )
      counts.push(rows.length)
    }
    t.comment(`rows left: ${counts.join(', ')}`)
    await service.start()
    await until(() => filesOf(data).length === 4)
    t.equal(left().rows.length, 4, 'the newest version')
    t.equal(left().offered.length, 2)
  },
)
