import type { Variant } from '../http/schemas/index.js'
import { Client, type ServerOptions, serverOptions } from './client.js'
import { count, type Define, outputOf } from './command.js'
import { boundNames, facts, show, table } from './output.js'

type Options = ServerOptions & { json?: boolean; model?: string; version?: number; compilation?: string }

export const command: Define = (variants) => {
  serverOptions(
    variants
      .command('ls')
      .description('list the variants')
      .option('--model <model>', 'of this model only')
      .option('--version <n>', 'of this version only', count)
      .option('--compilation <id>', 'of this compilation only'),
  ).action(async (options: Options) => {
    const { model, version, compilation } = options
    const items = await new Client(options).all<Variant>('/v1/variants', { model, version, compilation })
    outputOf(options).result({ items }, () => variantTable(items))
  })

  serverOptions(variants.command('show <variant>').description('show a variant with all its figures')).action(
    async (id: string, options: Options) => {
      const v = await new Client(options).get<Variant>(`/v1/variants/${encodeURIComponent(id)}`)
      outputOf(options).result(v, () => all(v))
    },
  )

  serverOptions(
    variants
      .command('withdraw <variant>')
      .description('take a variant out of the offer; devices that run it choose another'),
  ).action(async (id: string, options: Options) => {
    const v = await new Client(options).send<Variant>(
      'POST',
      `/v1/variants/${encodeURIComponent(id)}/withdraw`,
    )
    outputOf(options).result(
      v,
      () => `variant ${v.name} (${v.id}) is withdrawn; devices that run it choose another`,
    )
  })
}

export const variantTable = (items: readonly Variant[]): string =>
  table(items, [
    ['VARIANT', (v) => v.id],
    ['NAME', (v) => v.name],
    ['MODEL', (v) => `${v.model} v${v.version}`],
    ['BUDGET', (v) => show.bytes(v.memoryBudgetBytes)],
    ['BOUND BY', (v) => v.bound && boundNames[v.bound]],
    ['MEMORY', (v) => show.bytes(v.measuredRamBytes)],
    ['TOP-1', (v) => show.percent(v.top1)],
    ['P50', (v) => show.ms(v.p50Ms)],
    ['MACS', (v) => v.macs],
    ['FILE', (v) => show.bytes(v.fileBytes)],
    ['STATE', (v) => (v.withdrawnAt === null ? 'offered' : 'withdrawn')],
    ['UNUSED SINCE', (v) => show.time(v.unusedSince)],
  ])

const all = (v: Variant) =>
  facts({
    Variant: v.id,
    Name: v.name,
    Model: `${v.model} v${v.version}`,
    Compilation: v.compilation,
    'Memory budget': show.bytes(v.memoryBudgetBytes),
    'Bound by': v.bound && boundNames[v.bound],
    'Memory predicted': show.bytes(v.predictedRamBytes),
    'Memory measured': show.bytes(v.measuredRamBytes),
    'Top-1': show.percent(v.top1),
    Examples: v.n,
    Agreement: show.percent(v.agreement),
    'Latency p50': show.ms(v.p50Ms),
    'Latency expected': show.ms(v.expectedMs),
    MACs: v.macs,
    Parameters: v.params,
    File: show.bytes(v.fileBytes),
    Artifact: show.bytes(v.artifactBytes),
    Recipe: v.recipe,
    'SHA-256': v.digest,
    Created: show.time(v.createdAt),
    Withdrawn: show.time(v.withdrawnAt),
    'Unused since': show.time(v.unusedSince),
  })
