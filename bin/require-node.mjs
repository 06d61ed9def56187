// Plain JavaScript on purpose: it must say its sentence on the Node that is too old for the rest.
if (Number(process.versions.node.split('.', 1)) < 24) {
  process.stderr.write(
    `Expected Node 24 or newer, got ${process.versions.node}. npm ci brings it as the dev dependency "node"; if install ` +
      'scripts are switched off, run "npm rebuild node --ignore-scripts=false" and start through npm (npm run demo, npm test).\n',
  );
  process.exit(1);
}
