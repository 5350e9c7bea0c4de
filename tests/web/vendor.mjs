// node vendor.mjs URL SOURCE OUTPUT: the vendor's older SDK for Node, which signs with HMAC-SHA1, converts a file.
import core from "@alicloud/pop-core";

const [endpoint, source, output] = process.argv.slice(2);
// The SDK waits 3 s for an answer by default, which a machine with much else to do may take.
const client = new core.RPCClient({ endpoint, apiVersion: "2020-09-30", accessKeyId: "any", accessKeySecret: "whatever", opts: { timeout: 60_000 } });
const target = { URI: output, Container: "mp4", Video: { TranscodeVideo: { Codec: "h264", Resolution: "80x46" } }, Audio: { DisableAudio: true } };
const result = {};
for (const method of ["GET", "POST"]) {
  const { TaskId } = await client.request("CreateMediaConvertTask", {
    ProjectName: "default", Sources: JSON.stringify([{ URI: source }]), Targets: JSON.stringify([target]), UserData: "ü€ & + % *'()!",
  }, { method });
  let task;
  do {
    await new Promise((resolve) => setTimeout(resolve, 200));
    task = await client.request("GetTask", { ProjectName: "default", TaskType: "MediaConvert", TaskId, RequestDefinition: false }, { method });
  } while (task.Status === "Running");
  result[method] = [task.Status, task.Progress, task.UserData];
}
await client.request("CreateProject", { ProjectName: "older", Tag: [{ Key: "team", Value: "a" }, { Key: "kind", Value: "b" }] });
result.tags = (await client.request("GetProject", { ProjectName: "older" })).Project.Tags.map((tag) => tag.TagKey);
await client.request("DeleteProject", { ProjectName: "older" });
try {
  await client.request("GetTask", { ProjectName: "default", TaskId: "nobody" });
} catch (error) {
  result.missing = [error.name, error.code, error.data.RequestId.length];
}
console.log(JSON.stringify(result));
process.exit(0);
