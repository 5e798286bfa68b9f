// One MP4 file (H.264) to one ImageBitmap a frame, each decoded once, in the order of showing.
// WebCodecs where the browser has it (https or localhost), else a <video> element stepped frame by frame.

const PIXEL_BUDGET = 600e6 / 4; // RGBA pixels that all clips of a study may hold together (600 MB)

/** Boxes of an MP4 between two offsets as { type: [start, end] of the content }; the last of a kind wins. */
function boxes(view, start, end) {
  const found = {};
  for (let at = start; at + 8 <= end; ) {
    let size = view.getUint32(at);
    let head = 8;
    if (size === 1) [size, head] = [Number(view.getBigUint64(at + 8)), 16];
    if (size === 0) size = end - at;
    if (size < head || at + size > end) throw new Error("a box of this MP4 ends beyond the file");
    const type = String.fromCharCode(...new Uint8Array(view.buffer, view.byteOffset + at + 4, 4));
    if (type !== "trak" || !found.trak) found[type] = [at + head, at + size];
    at += size;
  }
  return found;
}

/** Samples of the first track in decoding order: { offset, size, shown, key }, shown = its place when played. */
function samplesOf(view, stbl) {
  const table = boxes(view, ...stbl);
  const words = (name, skip) => {
    const [start] = table[name];
    const count = view.getUint32(start + skip);
    return { count, at: (i) => view.getUint32(start + skip + 4 + i * 4) };
  };
  const sizes = words("stsz", 8);
  const fixed = view.getUint32(table.stsz[0] + 4);
  const chunks = words("stco", 4);
  const runs = words("stsc", 4);
  const keys = table.stss ? words("stss", 4) : null;
  const keySet = keys ? new Set(Array.from({ length: keys.count }, (_, i) => keys.at(i) - 1)) : null;
  const samples = [];
  for (let chunk = 0, run = 0; chunk < chunks.count; chunk += 1) {
    while (run + 1 < runs.count && runs.at((run + 1) * 3) <= chunk + 1) run += 1;
    let offset = chunks.at(chunk);
    for (let i = 0; i < runs.at(run * 3 + 1) && samples.length < sizes.count; i += 1) {
      const size = fixed || sizes.at(samples.length);
      samples.push({ offset, size, key: !keySet || keySet.has(samples.length) });
      offset += size;
    }
  }
  return inOrderOfShowing(view, table, samples);
}

/** Adds `shown` to samples: the rank of decode time + composition offset. */
function inOrderOfShowing(view, table, samples) {
  const spread = (name, signed) => {
    const [start] = table[name];
    const values = [];
    for (let i = 0; i < view.getUint32(start + 4); i += 1) {
      const value = signed ? view.getInt32(start + 12 + i * 8) : view.getUint32(start + 12 + i * 8);
      for (let n = view.getUint32(start + 8 + i * 8); n > 0; n -= 1) values.push(value);
    }
    return values;
  };
  const deltas = spread("stts", false);
  const offsets = table.ctts ? spread("ctts", true) : [];
  let time = 0;
  samples.forEach((sample, i) => {
    sample.time = time + (offsets[i] || 0);
    time += deltas[i] || 0;
  });
  [...samples].sort((a, b) => a.time - b.time).forEach((sample, rank) => (sample.shown = rank));
  return samples;
}

/** { samples, config } of an MP4 with one H.264 track. */
function demux(buffer) {
  const view = new DataView(buffer);
  const inside = (range, ...path) => path.reduce((r, name) => boxes(view, ...r)[name], range);
  const stbl = inside([0, buffer.byteLength], "moov", "trak", "mdia", "minf", "stbl");
  const [stsd] = inside(stbl, "stsd");
  const [entry, entryEnd] = boxes(view, stsd + 8, stsd + 8 + view.getUint32(stsd + 8)).avc1;
  const [avcC, avcEnd] = boxes(view, entry + 78, entryEnd).avcC;
  const description = new Uint8Array(buffer, avcC, avcEnd - avcC);
  const hex = (byte) => byte.toString(16).padStart(2, "0");
  return {
    samples: samplesOf(view, stbl),
    config: {
      codec: `avc1.${hex(description[1])}${hex(description[2])}${hex(description[3])}`,
      codedWidth: view.getUint16(entry + 24),
      codedHeight: view.getUint16(entry + 26),
      description,
    },
  };
}

/** Size at which frames are kept: their own, or smaller where a study would fill the memory. */
function keptSize(width, height, frames, share) {
  const scale = Math.min(1, Math.sqrt((PIXEL_BUDGET * share) / (width * height * frames)));
  return { resizeWidth: Math.max(2, Math.round(width * scale)), resizeHeight: Math.max(2, Math.round(height * scale)) };
}

/** Frames by WebCodecs; `onFrame(index, bitmap, [width, height] of the file)` is told of each. */
async function decodeWithCodec(buffer, share, onFrame, signal) {
  const { samples, config } = demux(buffer);
  const size = keptSize(config.codedWidth, config.codedHeight, samples.length, share);
  const own = [config.codedWidth, config.codedHeight];
  const pending = [];
  let fault = null;
  const decoder = new VideoDecoder({
    output: (frame) => {
      const index = frame.timestamp;
      pending.push(createImageBitmap(frame, size).then((bitmap) => onFrame(index, bitmap, own)).finally(() => frame.close()));
    },
    error: (error) => (fault = error),
  });
  try {
    decoder.configure(config);
    for (const { offset, size: bytes, key, shown } of samples) {
      const data = new Uint8Array(buffer, offset, bytes);
      decoder.decode(new EncodedVideoChunk({ type: key ? "key" : "delta", timestamp: shown, data }));
    }
    await decoder.flush();
    signal.throwIfAborted();
    if (fault) throw fault;
  } finally {
    await Promise.allSettled(pending);
    if (decoder.state !== "closed") decoder.close();
  }
}

/** Frames by a <video> element, one seek to the middle of each. */
async function decodeWithElement(buffer, clip, share, onFrame, signal) {
  const video = document.createElement("video");
  const url = URL.createObjectURL(new Blob([buffer], { type: "video/mp4" }));
  const once = (name) =>
    new Promise((resolve, reject) => {
      video.addEventListener(name, resolve, { once: true });
      video.addEventListener("error", () => reject(new Error("this browser cannot play H.264")), { once: true });
    });
  try {
    Object.assign(video, { muted: true, preload: "auto", src: url });
    await once("loadeddata");
    const size = keptSize(video.videoWidth, video.videoHeight, clip.n_frames, share);
    for (let frame = 0; frame < clip.n_frames; frame += 1) {
      const sought = once("seeked");
      video.currentTime = middleOf(clip, frame);
      await sought;
      signal.throwIfAborted();
      onFrame(frame, await createImageBitmap(video, size), [video.videoWidth, video.videoHeight]);
    }
  } finally {
    video.removeAttribute("src");
    video.load();
    URL.revokeObjectURL(url);
  }
}

/** Fetch and decode one clip; `share` is its part of the memory. Rejects with words when it cannot be shown. */
async function decodeClip(clip, share, onFrame, signal) {
  const answer = await fetch(clip.url, { signal, credentials: "same-origin" });
  if (!answer.ok) throw new Error(await answer.text());
  const buffer = await answer.arrayBuffer();
  if (window.VideoDecoder) return decodeWithCodec(buffer, share, onFrame, signal);
  return decodeWithElement(buffer, clip, share, onFrame, signal);
}
