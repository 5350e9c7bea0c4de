// node node.mjs URL IMAGE SOURCE OUTPUT: runs the checks with @connectrpc/connect-node and prints what came of them as JSON.
import { readFileSync } from "node:fs";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { registry, run } from "./checks.mjs";

const [baseUrl, image, source, output] = process.argv.slice(2);
const types = registry(readFileSync(image));
const common = { baseUrl, httpVersion: "1.1" };
const transports = {
  "connect json": createConnectTransport({ ...common, useBinaryFormat: false, useHttpGet: true }),
  "connect proto": createConnectTransport({ ...common, useBinaryFormat: true, useHttpGet: true }),
  "grpc-web": createGrpcWebTransport(common),
};
const results = {};
for (const [name, transport] of Object.entries(transports)) {
  results[name] = await run(transport, types, source, output);
}
console.log(JSON.stringify(results));
process.exit(0);
