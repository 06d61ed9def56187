# The worker and the server: one image, the command decides.
#   docker build -t zoom-steward .
#   docker run --env-file .env zoom-steward worker
FROM node:24-slim AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Without dev: the node package among them would bring a second Node. Without optional: no embedded Postgres.
RUN npm ci --omit=dev --omit=optional --ignore-scripts && npm cache clean --force

FROM node:24-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=packages /app/node_modules ./node_modules
COPY package.json LICENSE ./
COPY bin ./bin
COPY src ./src
# The user that the base image brings; it owns nothing in /app.
USER node
EXPOSE 4000
# No shell and no npm in between: signals reach the process, which drains and exits by itself.
ENTRYPOINT ["node", "bin/zoom-steward.mjs"]
CMD ["worker"]
