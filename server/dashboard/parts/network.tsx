import { useState } from 'preact/hooks'
import type { ModelVersion, Variant } from '../../http/schemas/index.js'
import { Section } from './layout.js'

interface Choice {
  readonly id: string
  readonly name: string
  readonly path: string
  readonly drawing: string | null
  readonly undrawn: string | null
}

/** The network of a version, drawn layer by layer; of each variant, what pruning left of it. */
export function Network({ version, variants }: { version: ModelVersion; variants: readonly Variant[] }) {
  const [chosen, choose] = useState('dense')
  const choices: readonly Choice[] = [
    {
      id: 'dense',
      name: 'dense',
      path: `models/${version.model}/versions/${version.version}`,
      ...drawn(version),
    },
    ...variants.map((v) => ({ id: v.id, name: v.name, path: `variants/${v.id}`, ...drawn(v) })),
  ]
  const shown = choices.find((c) => c.id === chosen) ?? choices[0]
  return (
    <Section
      title="The network"
      note={
        shown.id === 'dense'
          ? 'Each box is a layer; a bar is as long as the layer is wide, on a square-root scale.'
          : 'Before and after: of each bar the solid part is what was kept. What went as a whole is struck out.'
      }
    >
      {choices.length > 1 && (
        <fieldset class="choices" aria-label="Drawn">
          {choices.map(({ id, name }) => (
            <button type="button" key={id} aria-pressed={id === shown.id} onClick={() => choose(id)}>
              {name}
            </button>
          ))}
        </fieldset>
      )}
      <Drawing key={shown.id} of={shown} />
    </Section>
  )
}

const drawn = ({ drawing, undrawn }: Pick<Choice, 'drawing' | 'undrawn'>) => ({ drawing, undrawn })

function Drawing({ of: { name, path, drawing, undrawn } }: { of: Choice }) {
  if (drawing === null) {
    return <p class="note">Not drawn: {undrawn ?? 'it was stored before networks were drawn'}.</p>
  }
  const address = `/v1/${path}/drawing.svg`
  return (
    <>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard */}
      <section class="drawing" aria-label={`Drawing of ${name}`} tabIndex={0}>
        <img src={address} alt={`The layers of ${name}, with what each costs`} />
      </section>
      <p class="hint">
        <a href={address}>Open the drawing by itself</a>: there a layer tells its details when the pointer
        rests on it.
      </p>
    </>
  )
}
