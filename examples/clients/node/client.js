// Submits, watches, cancels and lists tasks, with protos that are loaded at run time:
//     npm install && node client.js 127.0.0.1:50051 SOURCE DESTINATION
'use strict';

const { randomUUID } = require('node:crypto');
const { join } = require('node:path');
const { promisify } = require('node:util');
const grpc = require('@grpc/grpc-js');
const protoLoader = require('@grpc/proto-loader');

const protos = protoLoader.loadSync(
  ['reelmill/v1/media_convert_service.proto', 'google/rpc/status.proto', 'google/rpc/error_details.proto'],
  // keepCase: names as in the protos (project_name); enums as words instead of numbers
  { includeDirs: [join(__dirname, '../../../protos'), join(__dirname, '../include')], keepCase: true, enums: String, longs: Number, defaults: true },
);
const { MediaConvertService } = grpc.loadPackageDefinition(protos).reelmill.v1;
const [server, source, destination] = process.argv.slice(2);
const client = new MediaConvertService(server, grpc.credentials.createInsecure());
const call = (name, fields) => promisify(client[name]).call(client, { project_name: 'default', ...fields });
const word = (status) => status.replace('TASK_STATUS_', '').toLowerCase();

// Sent twice with the same request_id, it creates one task.
async function submit(uri, output, preset) {
  const video = { transcode_video: { codec: 'VIDEO_CODEC_H264', preset: `ENCODER_PRESET_${preset}` } };
  const targets = [{ uri: output, container: 'CONTAINER_MP4', video }];
  return (await call('CreateMediaConvertTask', { request_id: randomUUID(), sources: [{ uri }], targets })).task_id;
}

// Every error carries google.rpc details: its code, and the fields that were wrong.
function printError(error) {
  const [packed] = error.metadata.get('grpc-status-details-bin');
  for (const { type_url, value } of protos['google.rpc.Status'].deserialize(packed).details) {
    const detail = protos[type_url.split('/').pop()]?.deserialize(value);
    if (detail?.metadata) console.log(`${grpc.status[error.code]}: ${detail.metadata.code}, request ${detail.metadata.request_id}`);
    for (const { field, description } of detail?.field_violations ?? []) console.log(`${field}: ${description}`);
  }
}

async function main() {
  const task_id = await submit(source, destination, 'ULTRAFAST');
  console.log(`task ${task_id}`);
  // The first message is the current state. When the stream ends with UNAVAILABLE, watch again.
  for await (const { task } of client.WatchTask({ project_name: 'default', task_id })) {
    console.log(word(task.status), task.artifacts.length ? task.artifacts[0].uri : `${task.progress}%`);
  }
  const other = await submit(source, `${destination}.mp4`, 'VERYSLOW');
  console.log(`canceling ${(await call('CancelTask', { task_id: other })).task.task_id}`);
  const { tasks } = await call('ListTasks', { sort: 'TASK_SORT_START_TIME', order: 'SORT_ORDER_DESC', max_results: 5 });
  console.log(`listed ${tasks.length}: ${tasks.map((task) => task.task_id).join(' ')}`);
  await submit('ftp://nowhere/x.mp4', destination, 'ULTRAFAST').catch(printError);
  client.close();
}

main();
