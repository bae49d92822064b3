/** From the parent: one `start`, perhaps a `cancel`. From the child: any number of `news`, then one of the others. */
export type ToChild = { readonly type: 'start'; readonly input: unknown } | { readonly type: 'cancel' }
export type FromChild =
  | { readonly type: 'news'; readonly news: unknown }
  | { readonly type: 'result'; readonly result: unknown }
  | { readonly type: 'error'; readonly code: string; readonly message: string }
