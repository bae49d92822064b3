import { useEffect, useRef } from 'preact/hooks'
import { useConnection } from '../hooks.js'
import { href } from '../route.js'
import { Mark } from './mark.js'

const connections = {
  connecting: { tone: 'quiet', text: 'connecting' },
  live: { tone: 'good', text: 'live' },
  reconnecting: { tone: 'warn', text: 'reconnecting' },
} as const

export function Header() {
  const { tone, text } = connections[useConnection()]
  return (
    <header class="top">
      <a class="brand" href={href.fleet()}>
        <svg viewBox="0 0 32 32" aria-hidden="true">
          <path d="M16 30V4M16 25H9q-4 0-4-4v-3M16 25h7q4 0 4-4v-3M16 16h-4q-4 0-4-4V9M16 16h4q4 0 4-4V9" />
        </svg>
        Espalier
      </a>
      <p class="connection" role="status">
        <Mark tone={tone}>{text}</Mark>
      </p>
    </header>
  )
}

interface PageProps {
  readonly title: string
  readonly kind?: string
  readonly children: preact.ComponentChildren
}

/** A page's frame: its heading takes the focus when one comes to it, so that a screen reader begins there. */
export function PageFrame({ title, kind, children }: PageProps) {
  const heading = useRef<HTMLHeadingElement>(null)
  useEffect(() => {
    document.title = kind === undefined ? 'Espalier' : `${title} · ${kind} · Espalier`
  }, [title, kind])
  useEffect(() => {
    if (navigated) heading.current?.focus({ preventScroll: true })
    navigated = true
    scrollTo(0, 0)
  }, [])
  return (
    <main>
      {kind !== undefined && (
        <nav class="crumbs" aria-label="Where you are">
          <a href={href.fleet()}>Fleet</a>
          <span aria-hidden="true"> / </span>
          {kind}
        </nav>
      )}
      <h1 ref={heading} tabIndex={-1}>
        {title}
      </h1>
      {children}
    </main>
  )
}

/** The first page of a visit leaves the focus where the browser put it. */
let navigated = false

interface SectionProps {
  readonly title: string
  readonly note?: preact.ComponentChildren
  readonly children: preact.ComponentChildren
}

export function Section({ title, note, children }: SectionProps) {
  const id = `section-${title.toLowerCase().replace(/\W+/g, '-')}`
  return (
    <section aria-labelledby={id}>
      <h2 id={id}>{title}</h2>
      {note !== undefined && <p class="note">{note}</p>}
      {children}
    </section>
  )
}

/** A table that is wider than a phone scrolls by itself, also by keyboard. */
export function WideTable({ label, children }: { label: string; children: preact.ComponentChildren }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
    <section class="wide" aria-label={label} tabIndex={0}>
      <table>{children}</table>
    </section>
  )
}

export function Facts({ items }: { items: readonly (readonly [string, preact.ComponentChildren])[] }) {
  return (
    <dl class="facts">
      {items.map(([term, value]) => (
        <div key={term}>
          <dt>{term}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}

export const Footer = () => (
  <footer>
    <a href="/docs">API</a>
    <span>One trained network, fitted to every device.</span>
  </footer>
)
