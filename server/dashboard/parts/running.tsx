import { useState } from 'preact/hooks'
import type { Compilation, CompilationProgress } from '../../http/schemas/index.js'
import { useEvents } from '../hooks.js'
import { href } from '../route.js'
import { Took } from './ago.js'
import { ProgressBar } from './bars.js'

/** The newest progress of a compilation: what the page was given, then what events tell. */
export function useProgress({
  id,
  progress,
}: Pick<Compilation, 'id' | 'progress'>): CompilationProgress | null {
  const [told, setTold] = useState<CompilationProgress | null>(null)
  useEvents((e) => {
    if (e.type === 'compilation.progress' && e.compilation === id) setTold(e)
  })
  return told ?? progress
}

/** A compilation under way: its stage, how far it is, and what it says. */
export function Running({ compilation }: { compilation: Compilation }) {
  const progress = useProgress(compilation)
  const { id, model, version, state, startedAt } = compilation
  return (
    <div class="running">
      <p>
        <a href={href.compilation(id)}>
          {model} v{version}
        </a>{' '}
        <span class="stage">{state === 'queued' ? 'queued' : (progress?.stage ?? 'starting')}</span>
        {progress?.variant !== undefined && <span class="variant"> {progress.variant}</span>}
        {startedAt !== null && (
          <span class="took">
            <Took from={startedAt} to={null} />
          </span>
        )}
      </p>
      <ProgressBar
        label={`${model} version ${version}: ${progress?.stage ?? state}`}
        done={progress?.done ?? 0}
        total={progress?.total ?? 0}
      />
      {progress?.message !== undefined && <p class="message">{progress.message}</p>}
    </div>
  )
}
