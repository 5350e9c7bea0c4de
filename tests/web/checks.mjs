// What a client of the front must be able to do; the same for Connect and gRPC-Web, in Node and in a browser.
import { fromBinary, createFileRegistry } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { createClient, ConnectError, Code } from "@connectrpc/connect";

export function registry(image) {
  return createFileRegistry(fromBinary(FileDescriptorSetSchema, image));
}

// The details of an error, by their types.
function details(error, types) {
  const found = {};
  for (const name of ["ErrorInfo", "BadRequest"]) {
    const schema = types.getMessage(`google.rpc.${name}`);
    for (const message of error.findDetails(schema)) found[name] = message;
  }
  return found;
}

async function refused(call, types) {
  try {
    await call;
  } catch (error) {
    const connect = ConnectError.from(error);
    const { ErrorInfo, BadRequest } = details(connect, types);
    return {
      code: Code[connect.code],
      reason: ErrorInfo?.reason,
      requestId: ErrorInfo?.metadata?.request_id,
      fields: BadRequest?.fieldViolations?.map((violation) => violation.field) ?? [],
    };
  }
  return { code: "OK" };
}

export async function run(transport, types, source, output) {
  const tasks = createClient(types.getService("reelmill.v1.MediaConvertService"), transport);
  const projects = createClient(types.getService("reelmill.v1.ProjectService"), transport);
  const result = {};
  result.project = (await projects.getProject({ projectName: "default" })).project.projectName;
  const word = (name, end) => types.getEnum(`reelmill.v1.${name}`).values.find((value) => value.name.endsWith(end)).number;
  const codec = word("VideoCodec", "_H264");
  const created = await tasks.createMediaConvertTask({
    projectName: "default",
    sources: [{ uri: source }],
    targets: [
      {
        uri: output,
        container: word("Container", "_MP4"),
        video: { transcodeVideo: { codec, resolution: "80x46" } },
        audio: { disableAudio: true },
      },
    ],
    userData: "ü€ & + %",
  });
  const progress = [];
  let last;
  for await (const { task } of tasks.watchTask({ projectName: "default", taskId: created.taskId })) {
    progress.push(task.progress);
    last = task;
  }
  result.watched = { status: last.status, progress, userData: last.userData, artifacts: last.artifacts.length };
  const leaving = new AbortController();
  result.left = "no error";
  try {
    for await (const _ of tasks.watchTasks({ projectName: "default" }, { signal: leaving.signal })) leaving.abort();
  } catch (error) {
    result.left = Code[ConnectError.from(error).code];
  }
  result.missing = await refused(tasks.getTask({ projectName: "default", taskId: "nobody" }), types);
  result.invalid = await refused(tasks.createMediaConvertTask({ projectName: "default" }), types);
  const stream = tasks.watchTask({ projectName: "default", taskId: "nobody" })[Symbol.asyncIterator]();
  result.missingStream = await refused(stream.next(), types);
  result.listed = (await tasks.listTasks({ projectName: "default", maxResults: 100 })).tasks.length > 0;
  const slow = tasks.watchTasks({ projectName: "default" }, { timeoutMs: 700 });
  result.late = await refused((async () => { for await (const _ of slow); })(), types);
  return result;
}
