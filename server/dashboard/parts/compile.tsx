import { parseBytes } from '@espalier/shared/bytes.js'
import { useState } from 'preact/hooks'
import type { Compilation, Dataset, NewCompilation } from '../../http/schemas/index.js'
import { ApiError, post } from '../api.js'
import { useDatasets } from '../reads.js'
import { recipes } from '../recipes.js'
import { href } from '../route.js'
import { Loading } from './loading.js'

interface Asked {
  readonly model: string
  readonly version: number
}

/** Asks for variants of a model version, and goes to the page where they are made. */
export function Compile({ model, version }: Asked) {
  const datasets = useDatasets()
  return (
    <Loading of={datasets}>
      {(datasets) =>
        datasets.length === 0 ? (
          <div class="empty">
            <p>Compiling needs data. Register some:</p>
            <pre>
              <code>npx espalier datasets create NAME images:/path/to/train</code>
            </pre>
          </div>
        ) : (
          <Form model={model} version={version} datasets={datasets} />
        )
      }
    </Loading>
  )
}

/** How each kind of limit is written, and what a value of it means. */
const limits = [
  { field: 'memoryBytes', label: 'Memory', hint: '4MB, 2MB', read: parseBytes },
  { field: 'macs', label: 'MACs kept, %', hint: '50', read: share },
  { field: 'params', label: 'Parameters kept, %', hint: '25', read: share },
  { field: 'artifactBytes', label: 'Artifact', hint: '500kB', read: parseBytes },
  { field: 'latencyMs', label: 'Latency, ms', hint: '2.5', read: positive },
] as const satisfies {
  field: keyof NewCompilation
  label: string
  hint: string
  read: (text: string) => number
}[]

function positive(text: string): number {
  const value = Number(text)
  if (value > 0 && Number.isFinite(value)) return value
  throw new Error(`'${text}' is no number above 0`)
}

function share(text: string): number {
  const value = positive(text.replace(/%$/, '').trim())
  if (value <= 100) return value / 100
  throw new Error(`'${text}' is more than 100 %`)
}

function Form({ model, version, datasets }: Asked & { datasets: readonly Dataset[] }) {
  const [recipe, setRecipe] = useState(Object.keys(recipes)[0])
  const [text, setText] = useState(written(recipe))
  const [sending, setSending] = useState(false)
  const [failure, setFailure] = useState<Error | null>(null)

  const send = async (event: SubmitEvent) => {
    event.preventDefault()
    setFailure(null)
    try {
      const request = { model, version, ...read(new FormData(event.currentTarget as HTMLFormElement)) }
      setSending(true)
      const { id } = await post<Compilation>('/compilations', request)
      location.hash = href.compilation(id)
    } catch (cause) {
      setFailure(cause instanceof Error ? cause : new Error(String(cause)))
      setSending(false)
    }
  }
  const choose = (name: string) => {
    setRecipe(name)
    setText(written(name))
  }
  return (
    <form class="compile" onSubmit={send}>
      {limits.map(({ field, label, hint }) => (
        <label key={field}>
          {label}
          <input name={field} placeholder={hint} autocomplete="off" />
        </label>
      ))}
      <label>
        Data
        <select name="data" required>
          {datasets.map(({ id }) => (
            <option key={id}>{id}</option>
          ))}
        </select>
      </label>
      <label>
        Evaluated on
        <select name="eval">
          <option value="">held-out data</option>
          {datasets.map(({ id }) => (
            <option key={id}>{id}</option>
          ))}
        </select>
      </label>
      <label>
        Recipe
        <select value={recipe} onChange={(e) => choose(e.currentTarget.value)}>
          {Object.keys(recipes).map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      </label>
      <label class="whole">
        The recipe, as it will be used
        <textarea
          name="recipe"
          spellcheck={false}
          rows={text.split('\n').length}
          value={text}
          onInput={(e) => setText(e.currentTarget.value)}
        />
      </label>
      <p class="whole">
        <button type="submit" disabled={sending}>
          {sending ? 'Asking …' : 'Compile'}
        </button>
      </p>
      {failure !== null && (
        <p class="failure whole" role="alert">
          {failure.message} {failure instanceof ApiError && <span class="code">{failure.code}</span>}
        </p>
      )}
    </form>
  )
}

const written = (name: string) => JSON.stringify(recipes[name], null, 2)

/** What the form says. @throws where a value cannot be read, naming its field */
function read(form: FormData): Omit<NewCompilation, 'model'> {
  const given = (name: string) => String(form.get(name) ?? '').trim()
  const lists = limits.flatMap(({ field, label, read }) => {
    const values = given(field)
      .split(/[,;]/)
      .filter((part) => part.trim() !== '')
    return values.length === 0 ? [] : [[field, values.map((value) => named(label, () => read(value.trim())))]]
  })
  return {
    ...Object.fromEntries(lists),
    data: given('data'),
    ...(given('eval') !== '' && { eval: given('eval') }),
    recipe: named('Recipe', () => JSON.parse(given('recipe'))),
  }
}

function named<T>(label: string, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    throw new Error(`${label}: ${cause instanceof Error ? cause.message : cause}`)
  }
}
