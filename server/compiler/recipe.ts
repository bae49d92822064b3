import { readFile } from 'node:fs/promises'
import { EspalierError } from '@espalier/shared'
import Type from 'typebox'
import { Compile } from 'typebox/schema'
import { type LimitLists, limitKinds, type VariantLimits, variantLimits } from './limits.js'
import { criterionNames, optimizerNames, scheduleNames } from './names.js'

const share = Type.Number({ minimum: 0, maximum: 1 })
const positive = Type.Number({ exclusiveMinimum: 0 })
const rounds = Type.Optional(Type.Integer({ minimum: 1, maximum: 1000 }))

/** How weights are trained; see `TrainOptions`. */
const Training = Type.Object(
  {
    optimizer: Type.Optional(Type.Enum([...optimizerNames])),
    lr: Type.Optional(positive),
    batch: Type.Optional(Type.Integer({ minimum: 1 })),
    momentum: Type.Optional(share),
    nesterov: Type.Optional(Type.Boolean()),
    weightDecay: Type.Optional(Type.Number({ minimum: 0 })),
    schedule: Type.Optional(Type.Enum([...scheduleNames])),
    warmup: Type.Optional(share),
    labelSmoothing: Type.Optional(share),
    average: Type.Optional(Type.Number({ minimum: 0, exclusiveMaximum: 1 })),
    clip: Type.Optional(Type.Number({ minimum: 0 })),
    colour: Type.Optional(share),
    mixup: Type.Optional(share),
    shift: Type.Optional(Type.Integer({ minimum: 0 })),
    flip: Type.Optional(Type.Boolean()),
    unfold: Type.Optional(Type.Boolean()),
    /** The dense network's share of the loss, 0.7 by default; the labels have the rest. Without labels it is all. */
    teacherShare: Type.Optional(share),
    /** Softens the dense network's answers; 4 by default. */
    temperature: Type.Optional(positive),
  },
  { additionalProperties: false },
)

/** What all schedules say: the criterion, passes over the data (a round, where there are rounds), and how units go. */
const common = {
  criterion: Type.Optional(Type.Enum([...criterionNames])),
  epochs: Type.Optional(Type.Integer({ minimum: 0, maximum: 10_000 })),
  /** Channel counts in multiples of it where they can. */
  multiple: Type.Optional(Type.Integer({ minimum: 1 })),
  /** At least this share of the residual branches stays. */
  depth: Type.Optional(share),
  seed: Type.Optional(Type.Integer({ minimum: 0 })),
  training: Type.Optional(Training),
}
const only = { additionalProperties: false }

const schemas = {
  /** Prunes to the limits at once, repairs, and trains. */
  'one-shot': Type.Object({ schedule: Type.Literal('one-shot'), ...common }, only),
  /** Prunes to the limit in rounds with training between them, less and less a round (Zhu and Gupta 2017). */
  gradual: Type.Object({ schedule: Type.Literal('gradual'), rounds, ...common }, only),
  /**
   * Each round leaves `keep` of the MACs, then trains; ends where a limit is met, or before top-1 on what was held out is
   * more than `allowance` below the dense network's.
   */
  iterative: Type.Object(
    {
      ...{ schedule: Type.Literal('iterative'), rounds, ...common },
      keep: Type.Optional(Type.Number({ exclusiveMinimum: 0, exclusiveMaximum: 1 })),
      allowance: Type.Optional(share),
    },
    only,
  ),
} as const
export type Recipe = Type.Static<(typeof schemas)[keyof typeof schemas]>

/**
 * A recipe as a small JSON file says it.
 * @throws FILE_NOT_FOUND; RECIPE_INVALID, naming the first property that is wrong
 */
export async function readRecipe(path: string): Promise<Recipe> {
  const text = await readFile(path, 'utf8').catch((cause) => {
    throw new EspalierError('FILE_NOT_FOUND', `cannot read the recipe '${path}': ${cause.code}`, { cause })
  })
  return parseRecipe(text, `recipe '${path}'`)
}

/** @throws RECIPE_INVALID */
export function parseRecipe(text: string, what = 'the recipe'): Recipe {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw invalid(what, `is no JSON: ${cause instanceof Error ? cause.message : cause}`)
  }
  return checkRecipe(value, what)
}

/** @throws RECIPE_INVALID, naming the first property that is wrong */
export function checkRecipe(value: unknown, what = 'the recipe'): Recipe {
  const schedules = Object.keys(schemas) as (keyof typeof schemas)[]
  const schedule = schedules.find((s) => s === (value as { schedule?: unknown } | null)?.schedule)
  if (!schedule) throw invalid(what, `needs a schedule: ${schedules.join(', ')}`)
  const checker = Compile(schemas[schedule])
  if (checker.Check(value)) return value as Recipe
  const [, [error]] = checker.Errors(value)
  const place = error?.instancePath ?? ''
  const known = place.startsWith('/training/') ? Training : schemas[schedule]
  if (error?.keyword === 'boolean')
    throw invalid(
      what,
      `has '${place.slice(1)}', which it does not know; it knows ${Object.keys(known.properties).join(', ')}`,
    )
  const { allowedValues: allowed } = (error?.params ?? {}) as { allowedValues?: readonly unknown[] }
  throw invalid(
    what,
    `is wrong at ${place || 'its top'}: it ${error?.message}${allowed ? `: ${allowed.join(', ')}` : ''}`,
  )
}

const invalid = (what: string, why: string) => new EspalierError('RECIPE_INVALID', `${what} ${why}`)

/**
 * One variant for each value of the kind of limit that has most. An iterative recipe ends by its allowance: where no
 * limit is given, it makes one variant without.
 * @throws OPTION_INVALID
 */
export function variantsOf(recipe: Recipe | undefined, lists: LimitLists): VariantLimits[] {
  const open = limitKinds.every((kind) => (lists[kind] ?? []).length === 0)
  const variants = open && recipe?.schedule === 'iterative' ? [{}] : variantLimits(lists)
  requireAims(recipe, variants)
  return variants
}

/** @throws OPTION_INVALID where a recipe in rounds is to meet limits on anything but shares of MACs and parameters */
export function requireAims(recipe: Recipe | undefined, variants: readonly VariantLimits[]): void {
  if ((recipe?.schedule ?? 'one-shot') === 'one-shot') return
  const isShare = ({ memoryBytes, artifactBytes, latencyMs }: VariantLimits) =>
    memoryBytes === undefined && artifactBytes === undefined && latencyMs === undefined
  if (variants.every(isShare)) return
  throw new EspalierError(
    'OPTION_INVALID',
    'a recipe in rounds aims at shares of MACs or parameters; for memory, bytes or latency take a one-shot recipe',
  )
}
