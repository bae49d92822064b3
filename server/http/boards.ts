import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import type { BoardsPart } from './parts.js'
import { Board, BoardMemory, BoardMemoryQuery } from './schemas/index.js'

export interface BoardsRoutePart {
  readonly boards: BoardsPart
}

const One = Type.Object({ board: Type.String({ maxLength: 200 }) })
const tags = ['telemetry']

export const boards: FastifyPluginAsyncTypebox<BoardsRoutePart> = async (app, { boards }) => {
  app.get(
    '',
    {
      schema: {
        tags,
        summary: 'The kinds of boards, and how their reports correct what is measured and predicted here',
        response: { 200: Type.Object({ items: Type.Array(Board) }) },
      },
    },
    async () => ({ items: boards.list() }),
  )

  app.get(
    '/:board',
    { schema: { tags, summary: 'One kind of board', params: One, response: { 200: Board } } },
    async ({ params }) => boards.get(params.board),
  )

  app.get(
    '/:board/memory',
    {
      schema: {
        tags,
        summary: 'What the offered variants are expected to need on such a board, and what was reported',
        params: One,
        querystring: BoardMemoryQuery,
        response: { 200: Type.Object({ items: Type.Array(BoardMemory) }) },
      },
    },
    async ({ params, query }) => ({ items: boards.memory(params.board, query) }),
  )
}
