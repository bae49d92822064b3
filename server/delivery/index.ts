export { type Artifacts, type BlockList, blockBytes } from './artifact-blocks.js'
export { BlockServer, type BlockServerOptions } from './block-server.js'
export {
  Catalogues,
  type CataloguesOptions,
  isOld,
  lifetimeMs,
  type Offer,
  type Published,
} from './catalogues.js'
export { backupOf, restoreKeys, rootKeyOf } from './key-backup.js'
export {
  chainIn,
  keyFiles,
  keyIn,
  newestRoot,
  rootLifetimeMs,
  type ServiceKeys,
  serviceKeys,
} from './keys.js'
export { freshRoots } from './root-expiry.js'
export { type Rotation, renew, rotate } from './rotation.js'
export { writeSecret } from './secret-file.js'
