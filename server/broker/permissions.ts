import { claimPattern } from '@espalier/shared/messages/index.js'
import { devicePublishes, deviceSubscribes, parseTopic, topic, topicFilter } from '@espalier/shared/topics.js'

const publishes = new Set(devicePublishes)

/** The topics among `devicePublishes` whose last message is kept for those who come later. */
const retained = new Set(['presence', 'facts', 'reported'])

/** Whether a client's id is that of one that enrols; no device has such an id. */
export const isClaim = (client: string): boolean => claimPattern.test(client)

/** The topic taken apart if this client may publish to it. */
export function publishable(client: string, text: string) {
  const to = parseTopic(text)
  if (!to) return undefined
  if (isClaim(client)) return to.name === 'enrolRequest' && to.claim === client ? to : undefined
  return publishes.has(to.name) && 'device' in to && to.device === client ? to : undefined
}

export const mayRetain = (name: string): boolean => retained.has(name)

/**
 * Whether a client may subscribe to `filter`. One that enrols: to its own answer. A device: to one of `deviceSubscribes` about itself, or what they reach by `+`
 * narrowed further. No `#`, and no `+` in the device's place.
 */
export function maySubscribe(device: string, filter: string): boolean {
  if (isClaim(device)) return filter === topic('enrolResponse', { claim: device })
  const levels = filter.split('/')
  return deviceSubscribes.some((name) => {
    const allowed = topicFilter(name, { device }).split('/')
    return (
      allowed.length === levels.length &&
      allowed.every(
        (part, i) => part === levels[i] || (part === '+' && /^[A-Za-z0-9][\w.-]*$/.test(levels[i])),
      )
    )
  })
}
