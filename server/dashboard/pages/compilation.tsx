import { useState } from 'preact/hooks'
import type {
  CompilationDetail,
  CompilationProgress,
  CompilationStage,
  Variant,
} from '../../http/schemas/index.js'
import { ApiError, post } from '../api.js'
import { TrainingCurve } from '../charts/training-curve.js'
import { boundNames, bytes, ms, none, percent, plural, short, time } from '../format.js'
import { useEvents } from '../hooks.js'
import { Ago, Took } from '../parts/ago.js'
import { ProgressBar } from '../parts/bars.js'
import { Frontier } from '../parts/frontier.js'
import { Facts, PageFrame, Section, WideTable } from '../parts/layout.js'
import { Failure, Loading } from '../parts/loading.js'
import { CompilationStateMark, Mark, type Tone } from '../parts/mark.js'
import { useCompilation, useVariants } from '../reads.js'
import { href } from '../route.js'

export function CompilationPage({ id }: { id: string }) {
  const compilation = useCompilation(id)
  return (
    <PageFrame
      title={compilation.data ? `${compilation.data.model} v${compilation.data.version}` : id}
      kind="Compilation"
    >
      <Loading of={compilation}>
        {(c) => (
          <>
            <p class="lede">
              <CompilationStateMark state={c.state} />
              {c.startedAt === null || c.endedAt !== null ? (
                <span>
                  {c.endedAt === null ? 'asked ' : 'ended '}
                  <Ago at={c.endedAt ?? c.createdAt} />
                </span>
              ) : null}
              {c.startedAt !== null && (
                <span>
                  {c.endedAt === null ? 'running for ' : 'took '}
                  <Took from={c.startedAt} to={c.endedAt} />
                </span>
              )}
              {c.endedAt === null && <Stop id={c.id} />}
              {c.state === 'done' && (
                <a href={`/v1/compilations/${encodeURIComponent(c.id)}/report`}>Report</a>
              )}
            </p>
            {c.error !== null && c.state !== 'cancelled' && (
              <p class="failure">
                {c.error.message} <span class="code">{c.error.code}</span>
              </p>
            )}
            <Stages key={c.startedAt} compilation={c} />
            <Made compilation={c} />
            <Asked compilation={c} />
          </>
        )}
      </Loading>
    </PageFrame>
  )
}

/** Asks once more before it stops hours of work. */
function Stop({ id }: { id: string }) {
  const [step, setStep] = useState<'idle' | 'asking' | 'stopping'>('idle')
  const [error, setError] = useState<ApiError | null>(null)
  const stop = async () => {
    setStep('stopping')
    try {
      await post(`/compilations/${encodeURIComponent(id)}/cancel`)
    } catch (cause) {
      if (!(cause instanceof ApiError)) throw cause
      setError(cause)
      setStep('idle')
    }
  }
  return (
    <span class="stop">
      {step === 'idle' && (
        <button type="button" onClick={() => setStep('asking')}>
          Stop …
        </button>
      )}
      {step === 'asking' && (
        <>
          <button type="button" class="danger" onClick={stop}>
            Stop it
          </button>
          <button type="button" onClick={() => setStep('idle')}>
            Let it run
          </button>
        </>
      )}
      {step === 'stopping' && 'stopping …'}
      {error !== null && <Failure error={error} />}
    </span>
  )
}

const sameStage = (a: CompilationProgress, b: CompilationProgress) =>
  a.stage === b.stage && a.variant === b.variant

/** The stages read, brought up to the newest progress told. */
function withTold(
  stages: readonly CompilationStage[],
  told: readonly CompilationStage[],
): CompilationStage[] {
  const all = [...stages]
  for (const stage of told) {
    const last = all.at(-1)
    if (last === undefined || stage.startedAt > last.startedAt) {
      if (last !== undefined && sameStage(last, stage)) all[all.length - 1] = joined(last, stage)
      else all.push(stage)
    } else {
      const at = all.findLastIndex((s) => sameStage(s, stage))
      if (at >= 0) all[at] = joined(all[at], stage)
    }
  }
  return all
}

/** A stage as it was read and as it was told on: the later progress, the longer curve. */
function joined(read: CompilationStage, told: CompilationStage): CompilationStage {
  const from = read.training.at(-1)?.done ?? Number.NEGATIVE_INFINITY
  const newer = told.done >= read.done ? told : read
  return {
    ...newer,
    startedAt: read.startedAt,
    training: [...read.training, ...told.training.filter((t) => t.done > from)],
  }
}

/** What events told since the page stands, in the form of stages. */
function useToldStages(id: string): readonly CompilationStage[] {
  const [told, setTold] = useState<readonly CompilationStage[]>([])
  useEvents((e) => {
    if (e.type !== 'compilation.progress' || e.compilation !== id) return
    setTold((stages) => {
      const last = stages.at(-1)
      const point = e.loss === undefined ? [] : [{ done: e.done, loss: e.loss, accuracy: e.accuracy ?? null }]
      if (last === undefined || !sameStage(last, e))
        return [...stages, { ...e, startedAt: e.at, training: point }]
      return [
        ...stages.slice(0, -1),
        { ...e, startedAt: last.startedAt, training: [...last.training, ...point] },
      ]
    })
  })
  return told
}

function Stages({ compilation: c }: { compilation: CompilationDetail }) {
  const stages = withTold(c.stages, useToldStages(c.id))
  if (stages.length === 0) {
    return (
      <Section title="Stages">
        <p class="empty">
          {c.state === 'queued' ? 'It waits until those before it have ended.' : 'No stage has begun yet.'}
        </p>
      </Section>
    )
  }
  return (
    <Section title="Stages">
      <ol class="stages">
        {stages.map((stage, i) => (
          <Stage
            key={`${stage.stage} ${stage.variant} ${i}`}
            stage={stage}
            endedAt={stages[i + 1]?.startedAt ?? c.endedAt}
            tone={
              i < stages.length - 1 || c.state === 'done' ? 'good' : c.state === 'running' ? 'busy' : 'warn'
            }
          />
        ))}
      </ol>
    </Section>
  )
}

function Stage({ stage: s, endedAt, tone }: { stage: CompilationStage; endedAt: number | null; tone: Tone }) {
  const open = tone !== 'good'
  return (
    <li class={open ? 'open' : undefined}>
      <p>
        <Mark tone={tone}>{s.stage}</Mark>
        <span class="variant">{s.variant ?? ''}</span>
        <span class="message">{s.message ?? ''}</span>
        <span class="took">
          <Took from={s.startedAt} to={endedAt} />
        </span>
      </p>
      {open && <ProgressBar label={`${s.stage} ${s.variant ?? ''}`} done={s.done} total={s.total} />}
      {s.training.length > 1 && <TrainingCurve training={s.training} total={s.total} />}
    </li>
  )
}

function Made({ compilation: c }: { compilation: CompilationDetail }) {
  const variants = useVariants(c.model)
  const made = (variants.data ?? []).filter((v) => v.compilation === c.id)
  if (made.length === 0) return null
  return (
    <>
      <Section
        title="Variants"
        note={
          <>
            {plural(made.length, 'variant')} made.{' '}
            <a href={href.model(c.model, c.version)}>See them beside what devices measured.</a>
          </>
        }
      >
        <WideTable label="Variants made">
          <thead>
            <tr>
              <th scope="col">Variant</th>
              <th scope="col">Bound by</th>
              {['Budget', 'Measured', 'MACs', 'Parameters', 'Artifact'].map((name) => (
                <th scope="col" class="number" key={name}>
                  {name}
                </th>
              ))}
              <th scope="col" class="number">
                Top-1 <small>%</small>
              </th>
              <th scope="col" class="number">
                p50 <small>ms</small>
              </th>
            </tr>
          </thead>
          <tbody>
            {made.map((v: Variant) => (
              <tr key={v.id}>
                <th scope="row">{v.name}</th>
                <td>{v.bound ? boundNames[v.bound] : none}</td>
                <td class="number">{bytes(v.memoryBudgetBytes)}</td>
                <td class="number">{bytes(v.measuredRamBytes)}</td>
                <td class="number">{short(v.macs)}</td>
                <td class="number">{short(v.params)}</td>
                <td class="number">{bytes(v.artifactBytes)}</td>
                <td class="number">{percent(v.top1)}</td>
                <td class="number">{ms(v.p50Ms)}</td>
              </tr>
            ))}
          </tbody>
        </WideTable>
      </Section>
      <Frontier points={c.frontier ?? []} variants={made} />
    </>
  )
}

function Asked({ compilation: { id, request, createdAt } }: { compilation: CompilationDetail }) {
  const shares = (values: readonly number[] | undefined) =>
    values?.map((v) => `${percent(v)} %`).join(', ') ?? none
  return (
    <Section title="What was asked">
      <Facts
        items={[
          ['Memory', request.memoryBytes?.map((b) => bytes(b)).join(', ') ?? none],
          ['Share of MACs', shares(request.macs)],
          ['Share of parameters', shares(request.params)],
          ['Artifact', request.artifactBytes?.map((b) => bytes(b)).join(', ') ?? none],
          ['Latency', request.latencyMs?.map((v) => `${v} ms`).join(', ') ?? none],
          ['Times of', request.profile ?? none],
          ['Data', request.data],
          ['Evaluated on', request.eval ?? none],
          ['Recipe', request.recipe ? <code key="recipe">{JSON.stringify(request.recipe)}</code> : 'default'],
          ['Criterion', request.criterion ?? 'default'],
          ['Epochs', request.epochs === undefined ? 'default' : String(request.epochs)],
          ['Seed', String(request.seed ?? 0)],
          ['Asked', time(createdAt)],
          ['Id', <code key="id">{id}</code>],
        ]}
      />
    </Section>
  )
}
