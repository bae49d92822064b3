import { EspalierError } from '@espalier/shared'

/** What a limit can be about: bytes of memory and of the artifact, MACs, parameters, milliseconds. */
export const resources = ['memory', 'artifact', 'macs', 'params', 'latency'] as const
export type Resource = (typeof resources)[number]

/** Limits of one variant; those given hold together. */
export interface VariantLimits {
  /** Memory in bytes, as the product's terms define it. */
  readonly memoryBytes?: number
  /** Share of the dense network's multiply–accumulates, 0 to 1. */
  readonly macs?: number
  /** Share of the dense network's parameters, 0 to 1. */
  readonly params?: number
  /** Bytes that travel. */
  readonly artifactBytes?: number
  /** Milliseconds of one query on the machine of a profile. */
  readonly latencyMs?: number
}

/** How memory measured where variants are compiled becomes what a board measures: scale · bytes + offsetBytes. */
export interface Correction {
  readonly scale: number
  readonly offsetBytes: number
}

/** The kind of board that budgets of memory are meant for. */
export interface BoardTarget extends Correction {
  readonly name: string
}

/** Limits for a board as they hold here, where candidates are measured; without a board the same. */
export function limitsHere(limits: VariantLimits, board?: Correction): VariantLimits {
  const { memoryBytes } = limits
  if (memoryBytes === undefined || !board) return limits
  return { ...limits, memoryBytes: Math.max(1, Math.floor((memoryBytes - board.offsetBytes) / board.scale)) }
}

/** Values of each kind of limit, as a user lists them. */
export type LimitLists = { readonly [K in keyof VariantLimits]: readonly number[] }

export const limitKinds = [
  'memoryBytes',
  'macs',
  'params',
  'artifactBytes',
  'latencyMs',
] as const satisfies (keyof VariantLimits)[]

/**
 * One variant for each value of the kind that has most; a kind with one value holds for all.
 * @throws OPTION_INVALID for lists of other lengths, none at all, or a value that is no limit
 */
export function variantLimits(lists: LimitLists): VariantLimits[] {
  const given = limitKinds.map((kind) => [kind, lists[kind] ?? []] as const)
  const n = Math.max(...given.map(([, values]) => values.length))
  const uneven = given.find(([, values]) => values.length > 1 && values.length !== n)
  if (uneven)
    throw new EspalierError(
      'OPTION_INVALID',
      `${n} variants cannot take ${uneven[1].length} values of another limit; give one value for all, or ${n}`,
    )
  const limits = Array.from({ length: n }, (_, i) =>
    Object.fromEntries(
      given.flatMap(([kind, values]) => {
        const value = values.length === 1 ? values[0] : values[i]
        return value === undefined ? [] : [[kind, value]]
      }),
    ),
  )
  requireLimits(limits)
  return limits
}

/** @throws OPTION_INVALID */
export function requireLimits(variants: readonly VariantLimits[]): void {
  const isShare = (v: number | undefined) => v === undefined || (v > 0 && v <= 1)
  const isPositive = (v: number | undefined) => v === undefined || v > 0
  const sound = (v: VariantLimits) =>
    limitKinds.some((kind) => v[kind] !== undefined) &&
    isShare(v.macs) &&
    isShare(v.params) &&
    isPositive(v.memoryBytes) &&
    isPositive(v.artifactBytes) &&
    isPositive(v.latencyMs)
  if (variants.length > 0 && variants.every(sound)) return
  throw new EspalierError(
    'OPTION_INVALID',
    'say what to fit to: a memory or artifact budget, or a share of the MACs or parameters above 0 and up to 1',
  )
}

/** @throws OPTION_INVALID for a limit on latency without the times that it is expected by */
export function requireProfile(variants: readonly VariantLimits[], profile: unknown): void {
  if (profile !== undefined || variants.every((v) => v.latencyMs === undefined)) return
  throw new EspalierError(
    'OPTION_INVALID',
    'a limit on latency needs --profile: espalier profile MODEL -o FILE measures one here, espalier-agent profile on a device',
  )
}
