/** One step of the schema. Numbers rise, may have gaps, and are never reused; a landed step never changes. */
export interface Migration {
  readonly number: number
  readonly name: string
  readonly sql: string
}
