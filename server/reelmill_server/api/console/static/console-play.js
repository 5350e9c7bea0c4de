"use strict";
// Plays an output, and shows pictures of its sprites above the line of time.
const video = document.querySelector("video");
const problem = document.getElementById("play-problem");
const failed = (text) => { problem.textContent = text; };

function load() {
  const { how, source } = video.dataset;
  if (how === "hls" && window.Hls && Hls.isSupported()) {
    const hls = new Hls({ enableWorker: false });
    hls.on(Hls.Events.ERROR, (_, data) => { if (data.fatal) failed(`This cannot be played here: ${data.details}`); });
    hls.loadSource(source);
    hls.attachMedia(video);
  } else if (how === "dash" && window.dashjs) {
    const player = dashjs.MediaPlayer().create();
    player.on("error", (event) => failed(`This cannot be played here: ${event.error && event.error.message}`));
    player.initialize(video, source, false);
  } else {
    video.addEventListener("error", () => failed("This browser does not play this format."));
    video.src = source;
  }
}

const seconds = (text) => text.trim().split(":").reduce((sum, part) => sum * 60 + parseFloat(part), 0);

function clock(time) {
  const two = (value) => String(Math.floor(value % 60)).padStart(2, "0");
  return time < 3600 ? `${Math.floor(time / 60)}:${two(time)}` : `${Math.floor(time / 3600)}:${two(time / 60)}:${two(time)}`;
}

// The cues of a WebVTT file: from when on each holds, in seconds, and its part of which sheet.
function cuesOf(text, at) {
  const cues = [];
  for (const block of text.split(/\r?\n\r?\n/)) {
    const [, begin, place] = block.match(/([\d:.]+) --> .*\r?\n(.+)/) || [];
    const [, file, box] = (place || "").match(/^(.*)#xywh=([\d,]+)/) || [];
    if (file) cues.push({ begin: seconds(begin), url: new URL(file, at).href, box: box.split(",").map(Number) });
  }
  return cues;
}

// Draws pictures of sheets; of one that is still loading, as soon as it is there.
function painter(canvas) {
  const sheets = new Map();
  let shown;
  const draw = (sheet, [x, y, width, height]) => {
    Object.assign(canvas, { width, height, hidden: false });
    canvas.getContext("2d").drawImage(sheet, x, y, width, height, 0, 0, width, height);
  };
  return (cue) => {
    shown = cue;
    const sheet = sheets.get(cue.url) || new Image();
    if (sheet.naturalWidth) return draw(sheet, cue.box);
    canvas.hidden = true;
    if (sheets.has(cue.url)) return;
    sheets.set(cue.url, sheet);
    sheet.onload = () => { if (shown.url === cue.url) draw(sheet, shown.box); };
    sheet.src = cue.url;
  };
}

async function sprites() {
  const at = new URL(video.dataset.sprites, location.href);
  const answer = await fetch(at);
  const cues = answer.ok ? cuesOf(await answer.text(), at) : [];
  if (!cues.length) return;
  const scrub = document.getElementById("scrub");
  const hover = scrub.querySelector(".hover");
  const label = hover.querySelector("span");
  const bar = scrub.querySelector(".bar");
  const paint = painter(hover.querySelector("canvas"));
  const length = () => video.duration || 0;
  const within = (time) => Math.max(0, Math.min(length(), time));
  const timeAt = (event) => {
    const box = scrub.getBoundingClientRect();
    return within(((event.clientX - box.left) / box.width) * length());
  };
  const show = (time) => {
    if (!length()) return;
    const cue = cues.findLast((one) => time >= one.begin) || cues[0];
    paint(cue);
    label.textContent = clock(time);
    hover.hidden = false;
    const space = scrub.clientWidth - cue.box[2];
    hover.style.width = `${cue.box[2]}px`;
    hover.style.left = `${Math.max(0, Math.min(space, (time / length()) * scrub.clientWidth - cue.box[2] / 2))}px`;
  };
  const hide = () => { hover.hidden = true; };
  const told = () => {
    bar.style.width = `${(100 * video.currentTime) / (length() || 1)}%`;
    scrub.setAttribute("aria-valuemax", Math.round(length()));
    scrub.setAttribute("aria-valuenow", Math.round(video.currentTime));
    scrub.setAttribute("aria-valuetext", `${clock(video.currentTime)} of ${clock(length())}`);
  };
  const seek = (time) => { video.currentTime = time; show(time); };
  for (const event of ["timeupdate", "seeking", "loadedmetadata", "durationchange"]) video.addEventListener(event, told);
  scrub.addEventListener("pointermove", (event) => (event.buttons ? seek : show)(timeAt(event)));
  scrub.addEventListener("pointerdown", (event) => { scrub.setPointerCapture(event.pointerId); seek(timeAt(event)); });
  scrub.addEventListener("pointerup", (event) => { if (event.pointerType !== "mouse") hide(); });
  scrub.addEventListener("pointerleave", hide);
  scrub.addEventListener("keydown", (event) => {
    const now = video.currentTime;
    const aim = { ArrowLeft: now - 5, ArrowRight: now + 5, PageDown: now - 60, PageUp: now + 60, Home: 0, End: length() }[event.key];
    if (aim === undefined) return;
    event.preventDefault();
    seek(within(aim));
  });
  scrub.addEventListener("blur", hide);
  paint(cues[0]);
  scrub.hidden = false;
  told();
}

if (video) {
  load();
  if (video.dataset.sprites) sprites();
}
