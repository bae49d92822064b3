import { EspalierError } from '@espalier/shared'
import { criterionNames } from '../compiler/names.js'
import { readRecipe } from '../compiler/recipe.js'
import type { Compilation, CompilationDetail, NewCompilation, Variant } from '../http/schemas/index.js'
import { Client, type ServerOptions, serverOptions } from './client.js'
import { count, type Define, interruption, many, outputOf, positive, share, size } from './command.js'
import { frontierTable } from './frontier.js'
import { facts, type Output, show, table } from './output.js'
import { variantTable } from './variants.js'

type Options = ServerOptions & { json?: boolean }

interface CreateOptions extends Options {
  data: string
  eval?: string
  version?: number
  memory?: number[]
  macs?: number[]
  params?: number[]
  artifact?: number[]
  latency?: number[]
  profile?: string
  recipe?: string
  criterion?: string
  epochs?: number
  seed?: number
  board?: string
  detach?: boolean
}

export const command: Define = (compilations) => {
  serverOptions(compilations.command('ls').description('list the compilations, newest first')).action(
    async (options: Options) => {
      const items = await new Client(options).all<Compilation>('/v1/compilations')
      outputOf(options).result({ items }, () =>
        table(items, [
          ['COMPILATION', (c) => c.id],
          ['MODEL', (c) => `${c.model} v${c.version}`],
          ['STATE', (c) => c.state],
          ['STAGE', (c) => c.progress?.stage],
          ['VARIANTS', (c) => c.variants.length],
          ['CREATED', (c) => show.time(c.createdAt)],
          ['ERROR', (c) => c.error?.code],
        ]),
      )
    },
  )

  serverOptions(
    compilations.command('show <compilation>').description('show a compilation and its variants'),
  ).action(async (id: string, options: Options) => {
    const client = new Client(options)
    const compilation = await client.get<Compilation>(`/v1/compilations/${encodeURIComponent(id)}`)
    await print(client, compilation, outputOf(options))
  })

  serverOptions(
    compilations
      .command('create <model>')
      .description('compile a model into variants, and follow it to its end')
      .requiredOption('--data <dataset>', 'trains and calibrates')
      .option('--eval <dataset>', 'measures accuracy, decides nothing')
      .option('--version <n>', 'the model version (default: the newest)', count)
      .option('--memory <size>', 'a memory budget such as 4MB; repeat it for more variants', many(size))
      .option('--macs <share>', 'a share of the MACs to keep, 0 to 1; may be repeated', many(share))
      .option('--params <share>', 'a share of the parameters to keep, 0 to 1; may be repeated', many(share))
      .option('--artifact <size>', "bytes that a variant's file may have; may be repeated", many(size))
      .option('--latency <ms>', 'of the median query, in ms; may be repeated', many(positive))
      .option('--profile <file>', 'operator times of the device it is for (default: measured by the service)')
      .option('--recipe <file>', 'the method as a small JSON file, as espalier fit takes it')
      .option('--criterion <name>', `how units are ranked: ${criterionNames.join(', ')}`)
      .option('--epochs <n>', 'of fine-tuning', count)
      .option('--seed <n>', 'for what is drawn at random', count)
      .option('--board <name>', 'the kind of board that memory budgets are for, as its devices name it')
      .option('--detach', 'do not wait for the end'),
  ).action(async (model: string, options: CreateOptions) => {
    const out = outputOf(options)
    const client = new Client(options)
    const created = await client.send<Compilation>('POST', '/v1/compilations', await request(model, options))
    if (options.detach) return out.result(created, () => `compilation ${created.id} is ${created.state}`)
    out.log(`compilation ${created.id}`)
    const ended = await follow(client, created.id, out)
    if (ended.state !== 'done') {
      const why = ended.error?.message ?? ended.state
      throw new EspalierError('COMPILATION_FAILED', `compilation ${ended.id} was not finished: ${why}`)
    }
    await print(client, ended, out)
  })

  serverOptions(compilations.command('cancel <compilation>').description('stop a compilation')).action(
    async (id: string, options: Options) => {
      const path = `/v1/compilations/${encodeURIComponent(id)}/cancel`
      const compilation = await new Client(options).send<Compilation>('POST', path)
      outputOf(options).result(compilation, () => `compilation ${id} is being stopped`)
    },
  )

  serverOptions(
    compilations
      .command('retry <compilation>')
      .description('run one again that failed, was cancelled or interrupted'),
  ).action(async (id: string, options: Options) => {
    const path = `/v1/compilations/${encodeURIComponent(id)}/retry`
    const compilation = await new Client(options).send<Compilation>('POST', path)
    outputOf(options).result(compilation, () => `compilation ${id} is queued again`)
  })
}

async function request(model: string, o: CreateOptions): Promise<NewCompilation> {
  const recipe = o.recipe === undefined ? undefined : await readRecipe(o.recipe)
  const { version, data, criterion, epochs, seed, board, macs, params } = o
  const limits = { memoryBytes: o.memory, macs, params, artifactBytes: o.artifact, latencyMs: o.latency }
  if (Object.values(limits).every((l) => l === undefined) && recipe?.schedule !== 'iterative') {
    throw new EspalierError(
      'OPTION_INVALID',
      'say what to compile for: --memory, --macs, --params, --artifact or --latency',
    )
  }
  const { readTimes } = await import('../compiler/latency/index.js')
  const profile = o.profile === undefined ? undefined : await readTimes(o.profile)
  return { model, version, ...limits, profile, data, eval: o.eval, recipe, criterion, epochs, seed, board }
}

/** Draws progress until the compilation ends. Ctrl-C stops following, not the compilation. */
async function follow(client: Client, id: string, out: Output): Promise<Compilation> {
  const stop = new AbortController()
  const interrupted = interruption()
  interrupted.addEventListener('abort', () => stop.abort(interrupted.reason))
  const progress = out.progress()
  const read = () => client.get<Compilation>(`/v1/compilations/${id}`)
  const over = ({ state }: Compilation) => state !== 'queued' && state !== 'running'
  try {
    const events = client.events(stop.signal)
    const first = events.next() // the stream is open before the state is read, so that no end is missed
    const now = await read()
    if (over(now)) return now
    for (let e = await first; !e.done; e = await events.next()) {
      const event = e.value
      if (event.compilation !== id) continue
      if (event.type === 'compilation.progress') {
        progress.update(label(event, progress.live), Number(event.done), Number(event.total))
      } else {
        const compilation = await read()
        if (over(compilation)) return compilation
      }
    }
    throw new EspalierError(
      'SERVICE_UNREACHABLE',
      `the service went away; see later: espalier compilations show ${id}`,
    )
  } catch (thrown) {
    if (!interrupted.aborted) throw thrown
    throw new EspalierError(
      'INTERRUPTED',
      `no longer following; it goes on. See it with: espalier compilations show ${id}; stop it with: espalier compilations cancel ${id}`,
    )
  } finally {
    progress.done()
    stop.abort()
  }
}

/** In words on a terminal; elsewhere the stage alone, since every new label is a line. */
const label = ({ stage, variant, message }: Record<string, unknown>, live: boolean) =>
  [variant, live ? (message ?? stage) : stage].filter((part) => part !== undefined).join(': ')

async function print(client: Client, compilation: Compilation, out: Output): Promise<void> {
  const variants = await client.all<Variant>('/v1/variants', { compilation: compilation.id })
  const { frontier } = await client.get<CompilationDetail>(`/v1/compilations/${compilation.id}`)
  const { id, model, version, state, error, dense, startedAt, endedAt } = compilation
  out.result({ ...compilation, variants, frontier }, () => {
    const said = facts({
      Compilation: id,
      Model: `${model} v${version}`,
      State: state,
      Error: error && `${error.message} (${error.code})`,
      'Dense top-1': show.percent(dense?.top1),
      Seconds: startedAt && endedAt && ((endedAt - startedAt) / 1000).toFixed(1),
    })
    const parts = [said, ...(variants.length > 0 ? [variantTable(variants)] : [])]
    return [...parts, ...(frontier ? [frontierTable(frontier)] : [])].join('\n\n')
  })
}
