import type {
  Board,
  BoardMemory,
  Compilation,
  CompilationDetail,
  Dataset,
  Device,
  Model,
  ModelVersion,
  Report,
  Variant,
} from '../http/schemas/index.js'
import { get, getAll } from './api.js'
import { useResource } from './hooks.js'

/** What the pages read, and which events make each stale. */

const at = (path: string, id: string) => `${path}/${encodeURIComponent(id)}`

export const useDevices = () =>
  useResource<Device[]>(
    'devices',
    (signal) => getAll('/devices', {}, signal),
    (e) => e.type === 'device.changed' || e.type === 'report.stored',
  )

export const useDevice = (id: string) =>
  useResource<Device>(
    `device ${id}`,
    (signal) => get(at('/devices', id), signal),
    (e) => (e.type === 'device.changed' || e.type === 'report.stored') && e.device === id,
  )

export const useModels = () =>
  useResource<Model[]>(
    'models',
    (signal) => getAll('/models', {}, signal),
    (e) => e.type === 'model.changed',
  )

/** Read once: they are registered before a page asks for them. */
export const useDatasets = () =>
  useResource<Dataset[]>(
    'datasets',
    (signal) => getAll('/datasets', {}, signal),
    () => false,
  )

/** Newest first. */
export const useVersions = (model: string) =>
  useResource<ModelVersion[]>(
    `versions ${model}`,
    (signal) => getAll(`${at('/models', model)}/versions`, {}, signal),
    (e) => e.type === 'model.changed' && e.model === model,
  )

/** All variants, or those of one model. */
export const useVariants = (model?: string) =>
  useResource<Variant[]>(
    `variants ${model}`,
    (signal) => getAll('/variants', model === undefined ? {} : { model }, signal),
    (e) => e.type === 'variants.changed' && (model === undefined || e.model === model),
  )

/** Newest first; all, or those of one model. */
export const useCompilations = (model?: string) =>
  useResource<Compilation[]>(
    `compilations ${model}`,
    (signal) => getAll('/compilations', model === undefined ? {} : { model }, signal),
    (e) => e.type === 'compilation.changed',
  )

export const useCompilation = (id: string) =>
  useResource<CompilationDetail>(
    `compilation ${id}`,
    (signal) => get(at('/compilations', id), signal),
    (e) => e.type === 'compilation.changed' && e.compilation === id,
  )

const most = 500

const read = async (query: Record<string, string>, signal: AbortSignal): Promise<Report[]> => {
  const { items } = await get<{ items: Report[] }>(`/reports?${new URLSearchParams(query)}`, signal)
  return items.sort((a, b) => a.at - b.at)
}

/** The newest 500 reports of the fleet, or of one device; oldest first. */
export const useReports = (device?: string) =>
  useResource<Report[]>(
    `reports ${device}`,
    (signal) => read({ limit: String(most), ...(device !== undefined && { device }) }, signal),
    (e) => e.type === 'report.stored' && (device === undefined || e.device === device),
  )

/** What each device measured last of each variant of a model version. */
export const useLatestReports = (model: string, version: number) =>
  useResource<Report[]>(
    `latest reports ${model} ${version}`,
    (signal) => getAll('/reports', { model, version: String(version), latest: 'true' }, signal),
    (e) => e.type === 'report.stored',
  )

export const useBoard = (board: string) =>
  useResource<Board>(
    `board ${board}`,
    (signal) => get(at('/boards', board), signal),
    (e) => e.type === 'report.stored',
  )

/** Memory of a model version's variants on a kind of board. */
export const useBoardMemory = (board: string, model: string, version: number) =>
  useResource<BoardMemory[]>(
    `board memory ${board} ${model} ${version}`,
    async (signal) => {
      const query = new URLSearchParams({ model, version: String(version) })
      return (await get<{ items: BoardMemory[] }>(`${at('/boards', board)}/memory?${query}`, signal)).items
    },
    (e) => e.type === 'report.stored' || (e.type === 'variants.changed' && e.model === model),
  )
