import { PageFrame } from '../parts/layout.js'
import { href } from '../route.js'

export const MissingPage = ({ path }: { path: string }) => (
  <PageFrame title="No such page" kind="Lost">
    <p class="empty">
      There is nothing at <code>{path}</code>. <a href={href.fleet()}>Back to the fleet</a>
    </p>
  </PageFrame>
)
