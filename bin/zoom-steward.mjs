#!/usr/bin/env node
// The only static import: whatever else is imported must not be resolved on a Node that is too old for it.
import './require-node.mjs';

const { enableCompileCache } = await import('node:module');
// Types are stripped once, not at every start: half of the time that a short command takes.
enableCompileCache();
await import('../src/cli/main.ts');
