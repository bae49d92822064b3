import { EspalierError } from '@espalier/shared'

/** Limits of one variant; those given hold together. */
export interface VariantLimits {
  /** Memory in bytes, as the product's terms define it. */
  readonly memoryBytes?: number
  /** Share of the dense network's multiply–accumulates, 0 to 1. */
  readonly macs?: number
  /** Share of the dense network's parameters, 0 to 1. */
  readonly params?: number
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
export interface LimitLists {
  readonly memoryBytes?: readonly number[]
  readonly macs?: readonly number[]
  readonly params?: readonly number[]
}

/**
 * One variant for each value of the kind that has most; a kind with one value holds for all.
 * @throws OPTION_INVALID for lists of other lengths, none at all, or a value that is no limit
 */
export function variantLimits({ memoryBytes = [], macs = [], params = [] }: LimitLists): VariantLimits[] {
  const lists = [memoryBytes, macs, params]
  const n = Math.max(...lists.map((l) => l.length))
  const uneven = lists.find((l) => l.length > 1 && l.length !== n)
  if (uneven)
    throw new EspalierError(
      'OPTION_INVALID',
      `${n} variants cannot take ${uneven.length} values of another limit; give one value for all, or ${n}`,
    )
  const pick = (values: readonly number[], i: number) => (values.length === 1 ? values[0] : values[i])
  const limits = Array.from({ length: n }, (_, i) => ({
    memoryBytes: pick(memoryBytes, i),
    macs: pick(macs, i),
    params: pick(params, i),
  }))
  requireLimits(limits)
  return limits
}

/** @throws OPTION_INVALID */
export function requireLimits(variants: readonly VariantLimits[]): void {
  const bad = variants.find(
    ({ memoryBytes, macs, params }) =>
      (memoryBytes === undefined && macs === undefined && params === undefined) ||
      [macs, params].some((v) => v !== undefined && !(v > 0 && v <= 1)) ||
      (memoryBytes !== undefined && !(memoryBytes > 0)),
  )
  if (variants.length > 0 && !bad) return
  throw new EspalierError(
    'OPTION_INVALID',
    'say what to fit to: a memory budget, or a share of the MACs or parameters above 0 and up to 1',
  )
}
