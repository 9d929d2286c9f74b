#!/usr/bin/env node
// solc from npm as a command with the two things that Foundry and the benchmark ask of one: its version, and a
// standard JSON input. The package's own command reads a pipe before it is full and ends before one is empty.
import { createRequire } from "node:module";

const solc = createRequire(import.meta.url)("solc");
if (process.argv.includes("--version")) {
    console.log(`solc, the solidity compiler commandline interface\nVersion: ${solc.version()}`);
} else {
    const parts = [];
    for await (const part of process.stdin) parts.push(part);
    process.stdout.write(solc.compile(Buffer.concat(parts).toString()));
}
