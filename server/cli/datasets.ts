import { basename, resolve } from 'node:path'
import { EspalierError } from '@espalier/shared'
import type { Dataset } from '../http/schemas/index.js'
import { Client, type ServerOptions, serverOptions } from './client.js'
import { type Define, outputOf } from './command.js'
import { show, table } from './output.js'

type Options = ServerOptions & { json?: boolean; name?: string; upload?: string }

export const command: Define = (datasets) => {
  serverOptions(datasets.command('ls').description('list the datasets')).action(async (options: Options) => {
    const items = await new Client(options).all<Dataset>('/v1/datasets')
    outputOf(options).result({ items }, () => datasetTable(items))
  })

  serverOptions(
    datasets
      .command('create <dataset> [spec]')
      .description(
        "register data on the service's disk (idx:IMAGES,LABELS, npz:FILE or images:DIR), or upload an npz file",
      )
      .option('--upload <file>', 'an npz file of this machine, with arrays x and perhaps y')
      .option('--name <text>', 'what people call it'),
  ).action(async (id: string, spec: string | undefined, options: Options) => {
    const out = outputOf(options)
    const client = new Client(options)
    if ((spec === undefined) === (options.upload === undefined)) {
      throw new EspalierError('OPTION_INVALID', 'give either a data spec or --upload FILE')
    }
    const dataset = options.upload
      ? await upload(client, id, options.upload, options)
      : await client.send<Dataset>('POST', '/v1/datasets', {
          id,
          name: options.name,
          spec: absolute(spec ?? ''),
        })
    out.result(dataset, () => datasetTable([dataset]))
  })
}

async function upload(client: Client, id: string, file: string, options: Options): Promise<Dataset> {
  const progress = outputOf(options).progress()
  const query = options.name ? `?name=${encodeURIComponent(options.name)}` : ''
  return client
    .upload<Dataset>(`/v1/datasets/${encodeURIComponent(id)}/file${query}`, file, (done, total) =>
      progress.update(`uploading ${basename(file)}`, done, total),
    )
    .finally(() => progress.done())
}

/** The spec with its paths made absolute, since the service has another working folder. */
function absolute(spec: string): string {
  const match = /^([a-z]+:)([^#]*)(.*)$/s.exec(spec)
  if (!match) return spec
  const [, kind, paths, range] = match
  return (
    kind +
    paths
      .split(',')
      .map((p) => resolve(p))
      .join(',') +
    range
  )
}

const datasetTable = (items: readonly Dataset[]) =>
  table(items, [
    ['DATASET', (d) => d.id],
    ['NAME', (d) => d.name],
    ['SAMPLES', (d) => d.count],
    ['SHAPE', (d) => d.dims?.join('×')],
    ['CLASSES', (d) => d.classes],
    ['SIZE', (d) => show.bytes(d.fileBytes)],
    ['FROM', (d) => (d.digest ? `upload ${d.digest.slice(0, 12)}` : d.spec)],
  ])
