# Espalier's service for linux/amd64 and linux/arm64. From the repository's root:
#   docker buildx build --platform linux/amd64,linux/arm64 -f deploy/service.Dockerfile -t espalier .

ARG NODE_IMAGE=node:24-bookworm-slim

# What the compiler makes is the same on every platform, so it is made once, on the builder's own.
FROM --platform=$BUILDPLATFORM ${NODE_IMAGE} AS build
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
COPY shared/package.json shared/
COPY agent/package.json agent/
COPY server/package.json server/
RUN npm ci --ignore-scripts
COPY . .
RUN npm run build

# better-sqlite3 is compiled for the target.
FROM ${NODE_IMAGE} AS dependencies
RUN apt-get update \
  && apt-get install -y --no-install-recommends g++ make python3 \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /espalier
COPY package.json package-lock.json .npmrc ./
COPY shared/package.json shared/
COPY agent/package.json agent/
COPY server/package.json server/
COPY deploy/keep-linux-runtime.sh deploy/
RUN npm ci --omit=dev --workspace=server && sh deploy/keep-linux-runtime.sh

FROM ${NODE_IMAGE}
ENV NODE_ENV=production
WORKDIR /espalier
COPY --from=dependencies /espalier ./
COPY --from=build /src/shared/dist shared/dist
COPY --from=build /src/server/dist server/dist
RUN install -d -o node -g node /var/lib/espalier
USER node
VOLUME /var/lib/espalier
EXPOSE 8080 1883
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8080/healthz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "server/dist/cli/main.js"]
CMD ["up", "--help"]
