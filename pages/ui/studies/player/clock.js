// Time maps between clips: seconds of one clip <-> beats of the heart <-> seconds of another. Pure functions.
// A clip: { fps, n_frames, r_waves } with r_waves in seconds after its first frame.

const duration = (clip) => clip.n_frames / clip.fps;
const modulo = (value, by) => ((value % by) + by) % by;
const frameAt = (clip, t) => Math.min(clip.n_frames - 1, Math.max(0, Math.floor(t * clip.fps + 1e-6)));
const middleOf = (clip, frame) => (frame + 0.5) / clip.fps;

/** Median interval between R waves over all clips in seconds, or null when no clip holds two R waves. */
function medianBeat(clips) {
  const intervals = clips.flatMap((c) => c.r_waves.slice(1).map((r, i) => r - c.r_waves[i])).sort((a, b) => a - b);
  return intervals.length ? intervals[intervals.length >> 1] : null;
}

/** Knots (seconds, beats) of a clip; one R wave is continued with the study's median beat; none gives null. */
function beatKnots(clip, beatS) {
  const r = clip.r_waves;
  if (!r.length) return null;
  const last = r.length > 1 ? r[r.length - 1] - r[r.length - 2] : beatS || duration(clip);
  const first = r.length > 1 ? r[1] - r[0] : last;
  const times = [r[0] - first, ...r, r[r.length - 1] + last];
  return times.map((t, i) => [t, i - 1]);
}

/** Linear interpolation through knots, continued beyond both ends; `from`, `to`: 0 = seconds, 1 = beats. */
function through(knots, value, from, to) {
  let i = 1;
  while (i < knots.length - 1 && value > knots[i][from]) i += 1;
  const [a, b] = [knots[i - 1], knots[i]];
  return a[to] + ((value - a[from]) * (b[to] - a[to])) / (b[from] - a[from]);
}

const toBeats = (clip, t) => through(clip.knots, t, 0, 1);
const toSeconds = (clip, beats) => through(clip.knots, beats, 1, 0);

/** Seconds in `clip` that show the same moment as second `t` of the `reference` clip. */
function sameMoment(clip, reference, t, mode) {
  if (clip === reference) return t;
  if (mode === "time" || !clip.knots || !reference.knots) return modulo(t, duration(clip));
  const [begin, end] = [toBeats(clip, 0), toBeats(clip, duration(clip))];
  const beats = toBeats(reference, t);
  if (end - begin >= 1) return toSeconds(clip, begin + modulo(beats - begin, Math.floor(end - begin + 1e-9)));
  const along = modulo(beats - begin, 1); // less than one beat was recorded: hold its nearer end meanwhile
  const [afterEnd, beforeBegin] = [along - (end - begin), 1 - along];
  if (afterEnd <= 0) return toSeconds(clip, begin + along);
  return afterEnd < beforeBegin ? duration(clip) : 0;
}

/** The clip whose own time the scrub bar shows: the longest one, the first of equals. */
function referenceOf(clips) {
  return clips.reduce((best, clip) => (duration(clip) > duration(best) + 1e-6 ? clip : best), clips[0]);
}

/** Frames of end-diastole (R waves) and end-systole of a clip, in order: [[frame, "ED"], [frame, "ES"], …]. */
function marksOf(clip) {
  const held = (times) => times.filter((t) => t >= 0 && t < duration(clip));
  const marks = [...held(clip.r_waves).map((t) => [t, "ED"]), ...held(clip.end_systoles).map((t) => [t, "ES"])];
  return marks.sort((a, b) => a[0] - b[0]);
}
