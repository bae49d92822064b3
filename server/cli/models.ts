import { basename } from 'node:path'
import { asEspalierError } from '@espalier/shared'
import type { Model, ModelVersion } from '../http/schemas/index.js'
import { Client, type ServerOptions, serverOptions } from './client.js'
import { type Define, outputOf } from './command.js'
import { facts, show, table } from './output.js'

type Options = ServerOptions & { json?: boolean; name?: string }

export const command: Define = (models) => {
  serverOptions(models.command('ls').description('list the models')).action(async (options: Options) => {
    const items = await new Client(options).all<Model>('/v1/models')
    outputOf(options).result({ items }, () =>
      table(items, [
        ['MODEL', (m) => m.id],
        ['NAME', (m) => m.name],
        ['LATEST', (m) => m.latest],
        ['CREATED', (m) => show.time(m.createdAt)],
      ]),
    )
  })

  serverOptions(models.command('show <model>').description('show a model and its versions')).action(
    async (id: string, options: Options) => {
      const client = new Client(options)
      const model = await client.get<Model>(`/v1/models/${encodeURIComponent(id)}`)
      const versions = await client.all<ModelVersion>(`/v1/models/${encodeURIComponent(id)}/versions`)
      outputOf(options).result({ ...model, versions }, () =>
        [
          facts({ Model: model.id, Name: model.name, Created: show.time(model.createdAt) }),
          versionTable(versions),
        ].join('\n\n'),
      )
    },
  )

  serverOptions(
    models
      .command('create <model> [file]')
      .description(
        'register a model and upload an ONNX file as its version; for a known model, its next version',
      )
      .option('--name <text>', 'what people call it'),
  ).action(async (id: string, file: string | undefined, options: Options) => {
    const out = outputOf(options)
    const client = new Client(options)
    const model = await register(client, id, options.name, file !== undefined)
    if (file === undefined) return out.result(model, () => `model ${id} is registered`)
    const progress = out.progress()
    const version = await client
      .upload<ModelVersion>(`/v1/models/${encodeURIComponent(id)}/versions`, file, (done, total) =>
        progress.update(`uploading ${basename(file)}`, done, total),
      )
      .finally(() => progress.done())
    out.result(version, () => versionTable([version]))
  })
}

/** The model, made if it is not there; one that is there is refused when nothing is to be uploaded. */
async function register(client: Client, id: string, name?: string, knownIsFine = false): Promise<Model> {
  try {
    return await client.send<Model>('POST', '/v1/models', { id, name })
  } catch (thrown) {
    if (!knownIsFine || asEspalierError(thrown).code !== 'MODEL_EXISTS') throw thrown
    return client.get<Model>(`/v1/models/${encodeURIComponent(id)}`)
  }
}

const versionTable = (versions: readonly ModelVersion[]) =>
  table(versions, [
    ['VERSION', (v) => v.version],
    ['FILE', (v) => show.bytes(v.fileBytes)],
    ['PARAMETERS', (v) => v.facts.params],
    ['NODES', (v) => v.facts.nodes],
    ['OPSET', (v) => v.facts.opset],
    ['UPLOADED', (v) => show.time(v.createdAt)],
    ['SHA-256', (v) => v.digest.slice(0, 12)],
  ])
