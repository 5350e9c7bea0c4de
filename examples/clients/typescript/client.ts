// Submits, watches, cancels and lists tasks over HTTP, by the Connect protocol:
//     npm install && npm run generate && npx tsx client.ts http://127.0.0.1:8080 SOURCE DESTINATION
import { randomUUID } from 'node:crypto';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node'; // in a browser: @connectrpc/connect-web
import { BadRequestSchema, ErrorInfoSchema } from './gen/google/rpc/error_details_pb.js';
import { MediaConvertService, SortOrder, TaskSort } from './gen/reelmill/v1/media_convert_service_pb.js';
import { Container } from './gen/reelmill/v1/target_pb.js';
import { TaskStatus } from './gen/reelmill/v1/task_pb.js';
import { EncoderPreset, VideoCodec } from './gen/reelmill/v1/video_pb.js';

const [server, source, destination] = process.argv.slice(2);
const client = createClient(MediaConvertService, createConnectTransport({ baseUrl: server, httpVersion: '1.1' }));
const projectName = 'default';

// Sent twice with the same requestId, it creates one task.
async function submit(uri: string, output: string, preset: EncoderPreset): Promise<string> {
  const video = { transcodeVideo: { codec: VideoCodec.H264, preset } };
  const targets = [{ uri: output, container: Container.MP4, video }];
  const created = await client.createMediaConvertTask({ projectName, requestId: randomUUID(), sources: [{ uri }], targets });
  return created.taskId;
}

const taskId = await submit(source, destination, EncoderPreset.ULTRAFAST);
console.log(`task ${taskId}`);
// The first message is the current state. When the stream ends with Unavailable, watch again.
for await (const { task } of client.watchTask({ projectName, taskId })) {
  console.log(TaskStatus[task!.status].toLowerCase(), task!.artifacts[0]?.uri ?? `${task!.progress}%`);
}
const other = await submit(source, `${destination}.mp4`, EncoderPreset.VERYSLOW);
console.log(`canceling ${(await client.cancelTask({ projectName, taskId: other })).task!.taskId}`);
const newest = { sort: TaskSort.START_TIME, order: SortOrder.DESC, maxResults: 5 };
const { tasks } = await client.listTasks({ projectName, ...newest });
console.log(`listed ${tasks.length}: ${tasks.map((task) => task.taskId).join(' ')}`);
try {
  await submit('ftp://nowhere/x.mp4', destination, EncoderPreset.ULTRAFAST);
} catch (reason) {
  // Every error carries its code, and the fields that were wrong.
  const error = ConnectError.from(reason);
  const [info] = error.findDetails(ErrorInfoSchema);
  console.log(`${Code[error.code]}: ${info.metadata.code}, request ${info.metadata.request_id}`);
  for (const bad of error.findDetails(BadRequestSchema)) {
    for (const { field, description } of bad.fieldViolations) console.log(`${field}: ${description}`);
  }
}
