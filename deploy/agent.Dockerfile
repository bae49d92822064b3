# Espalier's agent for linux/amd64 and linux/arm64. From the repository's root:
#   docker buildx build --platform linux/amd64,linux/arm64 -f deploy/agent.Dockerfile -t espalier-agent .

ARG NODE_IMAGE=node:24-bookworm-slim

FROM --platform=$BUILDPLATFORM ${NODE_IMAGE} AS build
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
COPY shared/package.json shared/
COPY agent/package.json agent/
COPY server/package.json server/
RUN npm ci --ignore-scripts
COPY . .
RUN npm run build

FROM ${NODE_IMAGE} AS dependencies
WORKDIR /espalier
COPY package.json package-lock.json .npmrc ./
COPY shared/package.json shared/
COPY agent/package.json agent/
COPY server/package.json server/
COPY deploy/keep-linux-runtime.sh deploy/
RUN npm ci --omit=dev --workspace=agent && sh deploy/keep-linux-runtime.sh

FROM ${NODE_IMAGE}
ENV NODE_ENV=production
WORKDIR /espalier
COPY --from=dependencies /espalier ./
COPY --from=build /src/shared/dist shared/dist
COPY --from=build /src/agent/dist agent/dist
RUN install -d -o node -g node /var/lib/espalier-agent
USER node
VOLUME /var/lib/espalier-agent
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s --retries=3 \
  CMD ["node", "agent/dist/main.js", "status", "--state", "/var/lib/espalier-agent", "--json"]
ENTRYPOINT ["node", "agent/dist/main.js"]
CMD ["run", "--credential", "/run/secrets/credential.json", "--state", "/var/lib/espalier-agent"]
