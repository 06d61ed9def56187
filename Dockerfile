# The worker and the server: one image, the command decides.
#   docker build -t zoom-steward .
#   docker run --env-file .env zoom-steward worker
# npm run image:check executes these lines without Docker, in a tree of the Debian release that FROM names.
FROM node:24-trixie-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Without install scripts: one would bring a second Node, and nothing here needs any.
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/build.ts ./scripts/
COPY src ./src
RUN node scripts/build.ts --only worker

FROM node:24-trixie-slim AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Without optional packages: no embedded Postgres.
RUN npm ci --omit=dev --omit=optional --ignore-scripts && npm cache clean --force

FROM node:24-trixie-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=packages /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY package.json LICENSE ./
COPY bin ./bin
# The user that the base image brings; it owns nothing in /app.
USER node
EXPOSE 4000
# No shell and no npm in between: signals reach the process, which drains and exits by itself.
ENTRYPOINT ["node", "bin/zoom-steward.mjs"]
CMD ["worker"]
