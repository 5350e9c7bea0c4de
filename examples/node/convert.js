// Converts one file and prints its progress:
//
//     node convert.js file:///home/me/Videos/in.mov file:///home/me/Videos/out.mp4
//
// REELMILL_SERVER (127.0.0.1:50051) is the address of the server, REELMILL_PROJECT (default) the project to work in.
'use strict';

const { randomUUID } = require('node:crypto');
const path = require('node:path');
const grpc = require('@grpc/grpc-js');
const protoLoader = require('@grpc/proto-loader');

const protos = protoLoader.loadSync(['reelmill/v1/media_convert_service.proto', 'google/rpc/error_details.proto'], {
  includeDirs: [path.join(__dirname, '../../protos'), path.join(__dirname, 'include')],
  keepCase: true, // field names as in the protos: project_name
  enums: String, // TASK_STATUS_RUNNING instead of 1
  longs: Number,
  defaults: true,
});
const { MediaConvertService } = grpc.loadPackageDefinition(protos).reelmill.v1;

const FINAL = new Set(['TASK_STATUS_SUCCEEDED', 'TASK_STATUS_FAILED', 'TASK_STATUS_CANCELED']);
const CALL_SECONDS = 30;

async function main([source, destination]) {
  if (!source || !destination) {
    console.error('usage: node convert.js SOURCE_URI DESTINATION_URI');
    return 2;
  }
  const server = process.env.REELMILL_SERVER || '127.0.0.1:50051';
  const project = process.env.REELMILL_PROJECT || 'default';
  const client = new MediaConvertService(server, grpc.credentials.createInsecure());
  try {
    const { task_id } = await createTask(client, project, source, destination);
    console.log(`task ${task_id}`);
    return report(await watchTask(client, project, task_id));
  } catch (error) {
    printError(error);
    return 1;
  } finally {
    client.close();
  }
}

function createTask(client, project, source, destination) {
  const request = {
    project_name: project,
    request_id: randomUUID(), // sending it again creates no second task
    sources: [{ uri: source }],
    targets: [
      {
        uri: destination,
        container: 'CONTAINER_MP4',
        video: { transcode_video: { codec: 'VIDEO_CODEC_H264', crf: 23 } },
        audio: { transcode_audio: { codec: 'AUDIO_CODEC_AAC' } },
      },
    ],
  };
  const deadline = new Date(Date.now() + CALL_SECONDS * 1000);
  return new Promise((resolve, reject) => {
    client.CreateMediaConvertTask(request, { deadline }, (error, response) => (error ? reject(error) : resolve(response)));
  });
}

// Watches a task until its final state; the first message is its current state. To survive restarts of the server, a program
// calls WatchTask again when the stream ends with UNAVAILABLE.
async function watchTask(client, project, task_id) {
  for await (const { task } of client.WatchTask({ project_name: project, task_id })) {
    if (FINAL.has(task.status)) return task;
    const speeds = task.targets.map((target) => `${target.speed.toFixed(2)}x`).join(' ');
    console.log(`${task.phase.replace('TASK_PHASE_', '').toLowerCase()} ${task.progress}% ${speeds}`.trimEnd());
  }
  throw new Error('the stream ended before the task did');
}

function report(task) {
  if (task.status !== 'TASK_STATUS_SUCCEEDED') {
    console.error(`${task.status}: ${task.code} ${task.message}`.trimEnd());
    return 1;
  }
  for (const artifact of task.artifacts) {
    const encoders = artifact.streams.map((stream) => `${stream.codec} (${stream.encoder})`).join(', ');
    console.log(`${artifact.uri}  ${artifact.size} bytes  ${artifact.duration} s  ${encoders}`);
  }
  return 0;
}

// Prints a gRPC error with the google.rpc details that every error of Reelmill carries.
function printError(error) {
  if (error.code === undefined) throw error; // not from gRPC: a bug in this program
  console.error(`${grpc.status[error.code]}: ${error.details}`);
  const [packed] = error.metadata?.get('grpc-status-details-bin') ?? [];
  if (!packed) return;
  for (const { type_url, value } of protos['google.rpc.Status'].deserialize(packed).details) {
    const detail = protos[type_url.split('/').pop()]?.deserialize(value);
    if (detail?.metadata) console.error(`  code ${detail.metadata.code}, request ID ${detail.metadata.request_id}`);
    for (const { field, description } of detail?.field_violations ?? []) console.error(`  ${field}: ${description}`);
  }
}

main(process.argv.slice(2)).then((status) => {
  process.exitCode = status;
});
