# The server and its supervisor. The models are no part of the image: mount them, and a configuration that names them.
#   docker build -t gguf-experts .
#   docker run --init -p 127.0.0.1:8082:8082 -v /srv/models:/models:ro -v ./config.json:/app/config.json:ro gguf-experts
# Without a configuration it serves the five small demonstration experts.

FROM node:20-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build && npm prune --omit=dev

FROM node:20-bookworm-slim
ENV NODE_ENV=production \
    GGUF_EXPERTS_STATE_DIR=/state
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY native/prebuilt ./native/prebuilt
COPY config ./config
COPY models ./models
RUN install -d -o node -g node /state
USER node
VOLUME /state
EXPOSE 8082
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8082/health').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
# Its own drain takes up to server_config.drain_timeout_s: stop it with `docker stop --time 45`.
CMD ["node", "dist/main.js", "serve", "--supervise", "--host", "0.0.0.0", "--port", "8082"]
