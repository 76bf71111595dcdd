// dist/esm and dist/cjs, each with its types, by the TypeScript compiler alone.
import { execFileSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";

const tsc = createRequire(import.meta.url).resolve("typescript/bin/tsc");
const run = (...options) => execFileSync(process.execPath, [tsc, "-p", ".", ...options], { stdio: "inherit" });

rmSync("dist", { recursive: true, force: true });
run();
run("--module", "commonjs", "--moduleResolution", "node10", "--outDir", "dist/cjs");
writeFileSync("dist/cjs/package.json", '{ "type": "commonjs" }\n');
