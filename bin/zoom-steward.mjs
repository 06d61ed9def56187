#!/usr/bin/env node
// The only static import: whatever else is imported must not be resolved on a Node that is too old for it.
import './require-node.mjs';

const { existsSync } = await import('node:fs');
const { enableCompileCache } = await import('node:module');
// Types are stripped and code is compiled once, not at every start: half of the time that a short command takes.
enableCompileCache();
// The repository runs its sources. An installed package has none: it runs what was built, because Node strips no types
// below node_modules.
if (existsSync(new URL('../src/cli/main.ts', import.meta.url))) await import('../src/cli/main.ts');
else await import(new URL('../dist/cli/main.js', import.meta.url).href);
