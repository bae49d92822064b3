/**
 * Run as a child: `trtexec.js PROGRAM [ARGUMENT…]` measures one model with TensorRT's `trtexec`. Each request runs it once:
 * `load` builds an engine, with the arguments (such as --fp16), which later runs load.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EspalierError } from '@espalier/shared'
import { answerRequests } from '@espalier/shared/measure/answering.js'
import { fill } from '@espalier/shared/measure/inputs.js'
import { median } from '@espalier/shared/measure/percentiles.js'
import type { Answer, Asked, Request, Shapes, Span } from '@espalier/shared/measure/protocol.js'
import { answersOf, latenciesOf, type Told, toldBy } from './trtexec-output.js'
import { runWatched } from './watched.js'

const [, , program, ...building] = process.argv
const folder = mkdtempSync(join(tmpdir(), 'espalier-trtexec-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
process.on('SIGTERM', () => process.exit())

const engine = join(folder, 'engine')
const times = join(folder, 'times.json')
/** One query, without a warm-up. */
const once = ['--iterations=1', '--duration=0', '--warmUp=0', '--avgRuns=1']
/** By default networks are run with 2:4 sparsity where their weights have it. */
const built = ['--sparsity=enable', ...building, ...once]

interface Loaded {
  readonly inputs: Told['inputs']
  queryMs: number
}
let loaded: Loaded | null = null

/** Runs trtexec; what it told, and its peak memory with that of the GPU that TensorRT holds. @throws with `code` */
async function trtexec(args: readonly string[], code: 'MODEL_UNSUPPORTED' | 'MODEL_UNRUNNABLE') {
  const { status, output, peakBytes } = await runWatched(program, args)
  const told = toldBy(output)
  if (status === 0) return { told, processBytes: peakBytes + (told.gpuBytes ?? 0) }
  throw new EspalierError(code, `trtexec: ${told.error ?? `ended with ${status}`}`)
}

async function start(network: string): Promise<Answer<'start'>> {
  const file = join(folder, 'base.onnx')
  writeFileSync(file, Buffer.from(network, 'base64'))
  await trtexec([`--onnx=${file}`, `--saveEngine=${engine}`, ...once], 'MODEL_UNSUPPORTED')
  const { told, processBytes } = await trtexec([`--loadEngine=${engine}`, ...once], 'MODEL_UNSUPPORTED')
  return {
    runtimeBaseBytes: processBytes,
    runtime: 'trtexec',
    runtimeVersion: told.version ?? 'unknown',
    providers: ['tensorrt'],
  }
}

async function load(path: string, shapes: Shapes = {}): Promise<Answer<'load'>> {
  const given = Object.entries(shapes).map(([name, dims]) => `${name}:${dims.join('x')}`)
  await build(path, given)
  const args = [`--loadEngine=${engine}`, `--exportTimes=${times}`, ...once]
  const { told } = await trtexec(args, 'MODEL_UNRUNNABLE')
  const [queryMs] = latenciesOf(readFileSync(times, 'utf8'))
  loaded = { inputs: told.inputs, queryMs }
  const inputs = told.inputs.map(({ name, dims }) => ({ name, type: 'unknown', dims: [...dims] }))
  return { provider: 'tensorrt', coldLoadMs: told.engineLoadMs ?? 0, firstRunMs: queryMs, inputs }
}

/** Only a network whose inputs are dynamic takes their sizes. */
async function build(path: string, shapes: readonly string[]): Promise<void> {
  const args = [`--onnx=${path}`, `--saveEngine=${engine}`, ...built]
  try {
    const sized = shapes.length > 0 ? [`--shapes=${shapes.join(',')}`] : []
    await trtexec([...args, ...sized], 'MODEL_UNSUPPORTED')
  } catch (e) {
    if (!(e instanceof EspalierError && /static model/i.test(e.message))) throw e
    await trtexec(args, 'MODEL_UNSUPPORTED')
  }
}

function ready(): Loaded {
  if (!loaded) throw new EspalierError('MEASURING_FAILED', 'load a model first')
  return loaded
}

async function memory(): Promise<Answer<'memory'>> {
  ready()
  const { processBytes } = await trtexec([`--loadEngine=${engine}`, ...once], 'MODEL_UNRUNNABLE')
  return { processBytes }
}

/** Inputs other than float32 are not known to be so, and get the pattern as well. */
async function golden(): Promise<Answer<'golden'>> {
  const files = ready().inputs.map(({ name, dims }, i) => {
    const file = join(folder, `input-${i}`)
    const values = new Float32Array(dims.reduce((n, d) => n * d, 1))
    fill(values)
    writeFileSync(file, values)
    return `${name}:${file}`
  })
  const output = join(folder, 'output.json')
  const args = [
    `--loadEngine=${engine}`,
    `--loadInputs=${files.join(',')}`,
    `--exportOutput=${output}`,
    ...once,
  ]
  await trtexec(args, 'MODEL_UNRUNNABLE')
  return answersOf(readFileSync(output, 'utf8'))
}

/** A run's queries, after trtexec's own warm-up of 0.2 s. It knows no latest end, so that is told in queries. */
async function timed({ queries, leastSeconds, seconds }: Span): Promise<number[]> {
  const model = ready()
  const most = Math.max(1, Math.floor((seconds * 1000) / Math.max(model.queryMs, 1e-3)))
  const iterations = Math.min(queries, most)
  const span = [`--iterations=${iterations}`, `--duration=${Math.min(leastSeconds, seconds)}`, '--avgRuns=1']
  await trtexec([`--loadEngine=${engine}`, `--exportTimes=${times}`, ...span], 'MODEL_UNRUNNABLE')
  const latencies = latenciesOf(readFileSync(times, 'utf8'))
  model.queryMs = median(latencies)
  return latencies
}

async function warm(span: Span): Promise<Answer<'warm'>> {
  const latencies = await timed(span)
  const half = latencies.length >> 1
  const [first, last] = half > 0 ? [median(latencies.slice(0, half)), median(latencies.slice(half))] : [1, 0]
  return { warmUps: latencies.length, steady: Math.abs(last - first) <= 0.05 * first }
}

async function answer(request: Request): Promise<Answer<Asked['do']>> {
  if (request.do === 'start') return start(request.network)
  if (request.do === 'load') return load(request.path, request.shapes)
  if (request.do === 'memory') return memory()
  if (request.do === 'golden') return golden()
  if (request.do === 'warm') return warm(request)
  if (request.do === 'time') return { latenciesMs: await timed(request) }
  throw new EspalierError('MEASURING_FAILED', 'operators are not timed by trtexec')
}

answerRequests(answer)
