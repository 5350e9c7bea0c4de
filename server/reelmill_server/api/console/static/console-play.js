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

async function sprites() {
  const at = video.dataset.sprites;
  const text = await (await fetch(at)).text();
  const cues = [];
  for (const block of text.split(/\r?\n\r?\n/)) {
    const [, begin, end, place] = block.match(/([\d:.]+) --> ([\d:.]+).*\r?\n(.+)/) || [];
    const [, file, box] = (place || "").match(/^(.*)#xywh=([\d,]+)/) || [];
    if (!file) continue;
    const [x, y, width, height] = box.split(",").map(Number);
    cues.push({ begin: seconds(begin), end: seconds(end), url: new URL(file, new URL(at, location.href)).href, x, y, width, height });
  }
  const scrub = document.getElementById("scrub");
  const hover = scrub.querySelector(".hover");
  const bar = scrub.querySelector(".bar");
  const show = (time) => {
    const cue = cues.find((one) => time >= one.begin && time < one.end) || cues[cues.length - 1];
    if (!cue || !video.duration) return;
    hover.hidden = false;
    hover.style.width = `${cue.width}px`;
    hover.style.height = `${cue.height}px`;
    hover.style.backgroundImage = `url("${cue.url}")`;
    hover.style.backgroundPosition = `-${cue.x}px -${cue.y}px`;
    const space = scrub.clientWidth - cue.width;
    hover.style.left = `${Math.max(0, Math.min(space, (time / video.duration) * scrub.clientWidth - cue.width / 2))}px`;
  };
  const timeAt = (event) => {
    const box = scrub.getBoundingClientRect();
    return Math.max(0, Math.min(1, (event.clientX - box.left) / box.width)) * (video.duration || 0);
  };
  const told = () => {
    bar.style.width = `${(100 * video.currentTime) / (video.duration || 1)}%`;
    scrub.setAttribute("aria-valuemax", Math.round(video.duration || 0));
    scrub.setAttribute("aria-valuenow", Math.round(video.currentTime));
  };
  video.addEventListener("timeupdate", told);
  video.addEventListener("loadedmetadata", told);
  scrub.addEventListener("pointermove", (event) => show(timeAt(event)));
  scrub.addEventListener("pointerleave", () => { hover.hidden = true; });
  scrub.addEventListener("click", (event) => { video.currentTime = timeAt(event); });
  scrub.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -5, ArrowRight: 5 }[event.key];
    if (!step) return;
    event.preventDefault();
    video.currentTime = Math.max(0, Math.min(video.duration || 0, video.currentTime + step));
    show(video.currentTime);
  });
  scrub.addEventListener("blur", () => { hover.hidden = true; });
}

if (video) {
  load();
  if (video.dataset.sprites) sprites();
}
