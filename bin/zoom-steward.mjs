#!/usr/bin/env node
import './require-node.mjs';
import { enableCompileCache } from 'node:module';

// Types are stripped once, not at every start: half of the time that a short command takes.
enableCompileCache();
await import('../src/cli/main.ts');
