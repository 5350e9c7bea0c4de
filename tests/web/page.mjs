// The same in a page of another origin, with @connectrpc/connect-web, and with Google's grpc-web, as binary and as text.
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { GrpcWebClientBase, MethodDescriptor, MethodType } from "grpc-web";
import { registry, run } from "./checks.mjs";

window.connect = async (kind, baseUrl, image, source, output) => {
  const types = registry(Uint8Array.from(atob(image), (character) => character.charCodeAt(0)));
  const transport =
    kind === "grpc-web"
      ? createGrpcWebTransport({ baseUrl })
      : createConnectTransport({ baseUrl, useBinaryFormat: kind === "connect proto", useHttpGet: true });
  return JSON.parse(JSON.stringify(await run(transport, types, source, output)));
};

// Google's client, without generated code: its methods are made from the descriptors.
window.grpcWeb = async (format, baseUrl, image, taskId) => {
  const types = registry(Uint8Array.from(atob(image), (character) => character.charCodeAt(0)));
  const service = types.getService("reelmill.v1.MediaConvertService");
  const client = new GrpcWebClientBase({ format });
  const method = (name, kind) => {
    const { input, output } = service.methods.find((candidate) => candidate.name === name);
    return new MethodDescriptor(
      `/reelmill.v1.MediaConvertService/${name}`, kind, Object, Object,
      (message) => toBinary(input, create(input, message)),
      (bytes) => fromBinary(output, bytes),
    );
  };
  const url = (name) => `${baseUrl}/reelmill.v1.MediaConvertService/${name}`;
  const result = {};
  const get = method("GetTask", MethodType.UNARY);
  const got = await client.unaryCall(url("GetTask"), { projectName: "default", taskId }, {}, get);
  result.task = got.task.taskId;
  try {
    await client.unaryCall(url("GetTask"), { projectName: "default", taskId: "nobody" }, {}, get);
  } catch (error) {
    const status = fromBinary(types.getMessage("google.rpc.Status"),
      Uint8Array.from(atob(error.metadata["grpc-status-details-bin"]), (character) => character.charCodeAt(0)));
    result.missing = { code: error.code, message: error.message, details: status.details.map((detail) => detail.typeUrl) };
  }
  const watch = (name, request, onData) => new Promise((resolve) => {
    const stream = client.serverStreaming(url(name), request, {}, method(name, MethodType.SERVER_STREAMING));
    const seen = [];
    stream.on("data", ({ task }) => { seen.push(task.status); onData?.(stream, () => resolve(seen)); });
    stream.on("end", () => resolve(seen));
    stream.on("error", (error) => resolve([...seen, error.code]));
    // As binary, this client shows the messages of a stream when it has ended.
    if (onData && format === "binary") setTimeout(() => onData(stream, () => resolve(seen)), 1500);
  });
  result.watched = await watch("WatchTask", { projectName: "default", taskId });
  result.left = await watch("WatchTasks", { projectName: "default" }, (stream, done) => { stream.cancel(); done(); });
  result.missingStream = await watch("WatchTask", { projectName: "default", taskId: "nobody" });
  return JSON.parse(JSON.stringify(result));
};

// Server-Sent Events, as any page reads them.
window.events = (url) => new Promise((resolve) => {
  const source = new EventSource(url);
  const states = [];
  source.onmessage = (event) => states.push(JSON.parse(event.data).Task.Status);
  source.addEventListener("end", () => { source.close(); resolve(states); });
  source.onerror = () => { source.close(); resolve([...states, "error"]); };
});
