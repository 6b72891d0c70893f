// tus-js-client against an endpoint: node tus_client.mjs ENDPOINT FILE WAY, which prints what it came to as JSON.
import { createReadStream, readFileSync, statSync } from "node:fs";
import { PassThrough } from "node:stream";
import * as tus from "tus-js-client";

const [endpoint, file, way] = process.argv.slice(2);
const data = readFileSync(file);
const size = statSync(file).size;
const options = {
  endpoint,
  metadata: { filename: "take.mp4", filetype: "video/mp4", segment_s: "30" },
  retryDelays: [10, 50, 200],
  chunkSize: 100_000,
};
const ways = {
  plain: () => [data, { ...options, chunkSize: Infinity }],
  chunks: () => [data, options],
  resume: () => [data, options],
  creation_with_upload: () => [data, { ...options, uploadDataDuringCreation: true }],
  deferred_length: () => [createReadStream(file).pipe(new PassThrough()), { ...options, uploadLengthDeferred: true }],
  // of a file's own stream it takes every part for a full one
  deferred_file: () => [createReadStream(file), { ...options, uploadLengthDeferred: true, retryDelays: [] }],
  parallel: () => [data, { ...options, parallelUploads: 3 }],
  override: () => [data, { ...options, overridePatchMethod: true }],
};

let job = null;
let requests = 0;
const [source, given] = ways[way]();
const upload = new tus.Upload(source, {
  ...given,
  onAfterResponse: (_, answer) => {
    requests += 1;
    job = answer.getHeader("VidProd-Job") ?? job;
  },
  onProgress: (sent) => {
    if (way === "resume" && sent >= size / 2 && !upload.resumed) {
      upload.resumed = true;
      upload.abort().then(() => upload.start());
    }
  },
  onError: (error) => {
    console.error(String(error));
    process.exit(1);
  },
  onSuccess: () => console.log(JSON.stringify({ job, requests, url: upload.url })),
});
upload.start();
