import { collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import type { Database } from './store/index.js'

/** What Prometheus reads at /metrics: the process, and counts that are taken from the database when asked. */
export function metricsOf(db: Database): Registry {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const gauge = (name: string, help: string, labels: readonly string[], sql: string) => {
    const rows = db.prepare<[], Record<string, string | number>>(sql)
    new Gauge({
      name,
      help,
      labelNames: labels,
      registers: [registry],
      collect() {
        this.reset()
        for (const { value, ...of } of rows.all()) this.set(of, Number(value))
      },
    })
  }
  gauge('espalier_models', 'Registered models', [], 'SELECT count(*) AS value FROM models')
  gauge(
    'espalier_variants',
    'Variants that devices may choose',
    ['model'],
    'SELECT model, count(*) AS value FROM variants WHERE withdrawnAt IS NULL GROUP BY model',
  )
  gauge(
    'espalier_compilations',
    'Compilations by state',
    ['state'],
    'SELECT state, count(*) AS value FROM compilations GROUP BY state',
  )
  return registry
}
