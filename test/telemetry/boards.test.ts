import { createHash } from 'node:crypto'
import { Variants } from '@espalier/server/catalog/index.js'
import type { VariantFigures } from '@espalier/server/http/schemas/index.js'
import { offersOf } from '@espalier/server/offers.js'
import { Boards, correctionFrom, onBoard } from '@espalier/server/telemetry/index.js'
import { encode, facts, type Report, reports, reportsAck } from '@espalier/shared/messages/index.js'
import { topic } from '@espalier/shared/topics.js'
import t from 'tap'
import { centre, reportOf } from '../support/centre.js'
import type { TestDevice } from '../support/mqtt.js'

const MB = 1e6

t.test('a correction is the identity until there is evidence, and then what the pairs say', async (t) => {
  t.same(correctionFrom([]), { scale: 1, offsetBytes: 0 })
  const real = (here: number) => 1.3 * here + 0.4 * MB
  const pairs = [2, 4, 7, 12, 20].map((mb) => ({ here: mb * MB, there: real(mb * MB) }))
  const found = correctionFrom(pairs)
  for (const here of [3 * MB, 30 * MB])
    t.ok(Math.abs(onBoard(found, here) / real(here) - 1) < 0.02, `${onBoard(found, here)} for ${real(here)}`)
  const one = onBoard(correctionFrom([{ here: 5 * MB, there: 7 * MB }]), 5 * MB)
  t.ok(one > 6 * MB && one < 7 * MB, 'one pair moves it most of the way')
  const alike = correctionFrom([5.0, 5.01, 5.02].map((mb) => ({ here: mb * MB, there: 4 * MB })))
  t.ok(alike.scale > 0.5 && alike.scale < 1, 'variants of one size make no wild slope')
})

const board = 'Raspberry Pi 5 Model B'
const digestOf = (name: string) => createHash('sha256').update(name).digest('hex')

/** A service with five variants, measured here at 2, 4, 6, 8 and 10 MB. */
async function house(t: Parameters<typeof centre>[0]) {
  const it = await centre(t)
  const nothing = {
    macs: null,
    params: null,
    top1: null,
    n: null,
    agreement: null,
    p50Ms: null,
    recipe: null,
  }
  const figures = (bytes: number): VariantFigures => ({
    ...{ ...nothing, memoryBudgetBytes: null, fileBytes: 1, artifactBytes: 1 },
    ...{ predictedRamBytes: bytes + 1000, measuredRamBytes: bytes },
  })
  const ports = { inputs: [], outputs: [], preprocess: null, labels: null }
  it.db.exec(`INSERT INTO models (id, name, createdAt) VALUES ('digits', 'digits', 0);
    INSERT INTO modelVersions (model, version, digest, fileBytes, facts, createdAt) VALUES ('digits', 1, '', 1, '{}', 0)`)
  new Variants(it.db, it.events).add(
    [2, 4, 6, 8, 10].map((mb) => ({
      ...{ name: `${mb}MB`, model: 'digits', version: 1, compilation: null },
      ...{ digest: digestOf(`${mb}MB`), figures: figures(mb * MB), ports },
    })),
  )
  let n = 0
  const says = async (device: TestDevice, id: string, kind = board) => {
    const fact = {
      ...{ board: kind, soc: null, arch: 'arm64', cpu: 'Cortex-A76', cores: 4, memoryBytes: 8e9 },
      ...{ memoryLimitBytes: null, memoryBudgetBytes: 6e6, p95LimitMs: null, kernel: '6.6', os: 'Debian 12' },
      ...{
        powerMode: null,
        executionProviders: ['cpu'],
        runtime: 'onnxruntime-node',
        runtimeVersion: '1.30.0',
      },
      ...{ agentVersion: '0.1.0', labels: {} },
    }
    await device.client.publishAsync(topic('facts', { device: id }), encode(facts, fact), {
      qos: 1,
      retain: true,
    })
  }
  const report = async (
    device: TestDevice,
    id: string,
    mb: number,
    there: number,
    more: Partial<Report> = {},
  ) => {
    const values = {
      variant: digestOf(`${mb}MB`),
      board,
      measuredRamBytes: Math.round(there),
      at: Date.UTC(2026, 0, 1, 0, n),
    }
    const list = [reportOf(id, `r${n++}`, { ...values, ...more })]
    await device.client.publishAsync(
      topic('reports', { device: id, n }),
      encode(reports, { reports: list }),
      { qos: 1 },
    )
  }
  return { ...it, boards: new Boards(it.db), figures, says, report, reportsAck }
}

t.test('what boards report corrects what is expected of variants that they never ran', async (t) => {
  const { boards, join, says, report } = await house(t)
  const [a, b] = [await join('a'), await join('b')]
  t.throws(() => boards.get(board), { code: 'BOARD_UNKNOWN' })
  await says(a, 'a')
  await says(b, 'b')
  const there = (mb: number) => 0.8 * mb * MB + 0.5 * MB
  await report(a, 'a', 2, there(2))
  await report(b, 'b', 6, there(6))
  t.match(
    boards.get(board),
    { reports: 2, corrected: false, correction: { scale: 1, offsetBytes: 0 } },
    'too few',
  )
  const tenOf = (which = {}) => boards.memory(board, which).find(({ name }) => name === '10MB')
  t.match(tenOf(), { expectedRamBytes: 10 * MB })
  await report(a, 'a', 6, there(6))
  await report(b, 'b', 8, there(8))
  const known = boards.get(board)
  t.match(known, { devices: 2, reports: 4, variants: 3, corrected: true, runtimeVersion: '1.30.0' })
  t.ok((known.medianError.corrected ?? 1) < 0.03, `${known.medianError.corrected}`)
  t.ok((known.medianError.uncorrected ?? 0) > 0.05)
  const ten = tenOf({ model: 'digits', version: 1 })
  t.match(ten, { name: '10MB', measuredRamBytes: 10 * MB, reportedRamBytes: null, reports: 0 })
  t.ok(
    Math.abs((ten?.expectedRamBytes ?? 0) / there(10) - 1) < 0.05,
    `${ten?.expectedRamBytes} for ${there(10)}`,
  )
  t.same(boards.memory(board, { model: 'another' }), [])
  t.same(
    boards.list().map((x) => x.board),
    [board],
  )
})

t.test('neither a slip, nor a talkative device, nor an older runtime decides', async (t) => {
  const { boards, join, says, report } = await house(t)
  const devices = await Promise.all(['a', 'b', 'c'].map(async (id) => ({ id, device: await join(id) })))
  for (const { id, device } of devices) await says(device, id)
  const [first] = devices
  await report(first.device, first.id, 4, 40 * MB, { runtimeVersion: '1.20.0' })
  for (const { id, device } of devices) for (const mb of [4, 8]) await report(device, id, mb, mb * MB)
  for (let i = 0; i < 9; i++) await report(first.device, first.id, 8, 24 * MB)
  const { correction, reports: count } = boards.get(board)
  t.equal(count, 15, 'the older runtime is left out')
  t.ok(Math.abs(onBoard(correction, 8 * MB) - 8 * MB) < 0.1 * MB, `${onBoard(correction, 8 * MB)}`)
})

t.test('what was compiled for boards that need less than here is offered by its budget', async (t) => {
  const { db, events, figures } = await house(t)
  const variants = new Variants(db, events)
  const ports = { inputs: [], outputs: [], preprocess: null, labels: null }
  const add = (name: string, memoryBudgetBytes: number) =>
    variants.add([
      {
        ...{ name, model: 'digits', version: 1, compilation: null, digest: digestOf(name), ports },
        figures: { ...figures(7 * MB), memoryBudgetBytes },
      },
    ])
  add('for such boards', 4 * MB)
  add('for here', 8 * MB)
  const offered = new Map(offersOf(variants)('digits', 1).map((o) => [o.name, o]))
  t.match(offered.get('for such boards'), { predictedRamBytes: 4 * MB, measuredRamBytes: null })
  t.match(offered.get('for here'), { predictedRamBytes: 7 * MB + 1000, measuredRamBytes: 7 * MB })
})
