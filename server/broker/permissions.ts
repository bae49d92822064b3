import { devicePublishes, deviceSubscribes, parseTopic, topicFilter } from '@espalier/shared/topics.js'

const publishes = new Set(devicePublishes)

/** The topics among `devicePublishes` whose last message is kept for those who come later. */
const retained = new Set(['presence', 'facts', 'reported'])

/** The topic taken apart if this device may publish to it. */
export function publishable(device: string, text: string) {
  const topic = parseTopic(text)
  if (topic && publishes.has(topic.name) && 'device' in topic && topic.device === device) return topic
}

export const mayRetain = (name: string): boolean => retained.has(name)

/**
 * Whether a device may subscribe to `filter`: one of `deviceSubscribes` about itself, or what they reach by `+`
 * narrowed further. No `#`, and no `+` in the device's place.
 */
export function maySubscribe(device: string, filter: string): boolean {
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
