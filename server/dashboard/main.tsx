import { render } from 'preact'
import { LiveContext } from './hooks.js'
import { Live } from './live.js'
import { CompilationPage } from './pages/compilation.js'
import { DevicePage } from './pages/device.js'
import { FleetPage } from './pages/fleet.js'
import { MissingPage } from './pages/missing.js'
import { ModelPage } from './pages/model.js'
import { Footer, Header } from './parts/layout.js'
import { type Route, useRoute } from './route.js'

function Page({ route }: { route: Route }) {
  switch (route.page) {
    case 'fleet':
      return <FleetPage />
    case 'device':
      return <DevicePage key={route.id} id={route.id} />
    case 'model':
      return <ModelPage key={route.id} id={route.id} version={route.version} />
    case 'compilation':
      return <CompilationPage key={route.id} id={route.id} />
    case 'missing':
      return <MissingPage path={route.path} />
  }
}

function App() {
  return (
    <LiveContext.Provider value={live}>
      <Header />
      <Page route={useRoute()} />
      <Footer />
    </LiveContext.Provider>
  )
}

const live = new Live('/v1/events')
render(<App />, document.body)
