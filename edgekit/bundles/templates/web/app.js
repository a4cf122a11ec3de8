// The page: camera, files and pictures on the one side, labels, scores and latency on the other.

import { best, loadClassifier, pixelsOf } from "./classifier.js";

const SHOWN = 5;
const at = (id) => document.getElementById(id);
let classifier;
let frames = 0; // counts the camera's sessions, so that one that was stopped does not go on
let turn = Promise.resolve(); // pictures are classified one after the other

start().catch(failed);

async function start() {
  if (location.protocol === "file:") throw new Error("Browsers do not let a page from disk read its model: serve this folder, as README.md says.");
  classifier = await loadClassifier();
  const { model } = classifier;
  document.title = at("name").textContent = model.name;
  at("tolerance").textContent = readable(model.tolerance);
  about(model);
  at("file").disabled = false;
  at("switch").disabled = !navigator.mediaDevices?.getUserMedia;
  if (at("switch").disabled) at("switch").title = "The camera needs https or localhost.";
  await selfCheck();
}

async function selfCheck() {
  const entries = await classifier.selfCheck();
  const passed = entries.length > 0 && entries.every((entry) => entry.passed);
  at("checks").replaceChildren(...entries.map(checkRow));
  const said = !entries.length ? "not checked: the model came without golden vectors" : passed ? "passed" : "failed";
  at("check-summary").textContent = `— ${said}`;
  at("status").textContent = entries.length ? `Self-check ${said}` : "Not checked";
  at("status").className = `pill ${!entries.length ? "waiting" : passed ? "good" : "bad"}`;
  at("check").open = entries.length > 0 && !passed;
  document.documentElement.dataset.selfCheck = said;
}

function checkRow(entry) {
  const row = document.createElement("tr");
  const picture = document.createElement("img");
  picture.src = entry.image;
  picture.alt = entry.image;
  row.append(
    cell(picture),
    cell(entry.exact ? "equal" : "differ", entry.exact ? "" : "failed"),
    cell(readable(entry.difference), "number"),
    cell(entry.sameClass ? "same" : "another", entry.sameClass ? "" : "failed"),
    cell(entry.passed ? "passed" : "failed", entry.passed ? "passed" : "failed"),
  );
  return row;
}

function show(source) {
  return (turn = turn.catch(() => {}).then(() => showNow(source)));
}

async function showNow(source) {
  const [rgba, width, height] = await pixelsOf(source);
  const found = await classifier.classify(rgba, width, height);
  const canvas = at("shown");
  [canvas.width, canvas.height] = [width, height];
  canvas.getContext("2d").putImageData(new ImageData(rgba, width, height), 0, 0);
  report(found);
  return canvas;
}

async function showPicture(file) {
  stopCamera();
  at("problem").hidden = true;
  try {
    (await show(file)).hidden = false;
    at("hint").hidden = true;
    at("drop").classList.add("filled");
  } catch {
    problem(`${file.name || "That"} cannot be read as a picture. Choose a PNG, JPEG or WebP file.`);
  }
}

function report({ scores, milliseconds }) {
  const { labels, meaning } = classifier.model;
  at("results").replaceChildren(...best(scores, SHOWN).map((index) => {
    const row = document.createElement("li");
    const score = meaning === "probabilities" ? percent(scores[index]) : readable(scores[index]);
    row.append(text(labels[index]), text(score, "score"));
    if (meaning === "probabilities") row.append(bar(scores[index]));
    row.dataset.index = index;
    row.dataset.score = scores[index];
    return row;
  }));
  const { preparation, model } = milliseconds;
  at("latency").textContent = `${(preparation + model).toFixed(1)} ms: preparation ${preparation.toFixed(1)}, model ${model.toFixed(1)}`;
}

async function startCamera() {
  at("problem").hidden = true;
  const video = at("camera");
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" }, audio: false });
    await video.play();
  } catch (error) {
    return problem(`The camera cannot be used (${error.message || error.name}). Allow it in the browser, or choose a picture.`);
  }
  at("shown").hidden = at("hint").hidden = true;
  video.hidden = false;
  at("drop").classList.add("filled");
  at("switch").textContent = "Stop the camera";
  watch(++frames);
}

async function watch(session) {
  while (session === frames) {
    if (at("camera").readyState >= 2) await show(at("camera"));
    await new Promise(requestAnimationFrame);
  }
}

function stopCamera() {
  const video = at("camera");
  if (!video.srcObject) return;
  frames++;
  for (const track of video.srcObject.getTracks()) track.stop();
  video.srcObject = null;
  video.hidden = true;
  at("shown").hidden = false; // its last frame
  at("switch").textContent = "Use the camera";
}

at("file").addEventListener("change", ({ target }) => target.files[0] && showPicture(target.files[0]));
at("switch").addEventListener("click", () => (at("camera").srcObject ? stopCamera() : startCamera()));
for (const name of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    at("drop").classList.toggle("over", name === "dragover");
    const file = name === "drop" && event.dataTransfer.files[0];
    if (file && classifier) showPicture(file);
  });
}
document.addEventListener("paste", ({ clipboardData }) => {
  if (clipboardData.files[0] && classifier) showPicture(clipboardData.files[0]);
});

function about(model) {
  const { preprocessing: wanted } = model;
  const facts = {
    "File": `${model.file}, ${model.size_bytes.toLocaleString("en")} bytes`,
    "SHA-256": model.sha256,
    "Input": `${wanted.width} × ${wanted.height} ${wanted.channels.toUpperCase()}, ${model.input.dtype}`,
    "Resizing": `${wanted.resize}${wanted.antialias ? ", antialiased" : ""}${wanted.crop === "center" ? ", centre square first" : ""}`,
    "Classes": String(model.labels.length),
    "Licence": model.licence || "not stated",
    "Made with": `edgekit ${model.edgekit}, LiteRT.js ${model.versions["@litertjs/core"]}`,
  };
  for (const [name, fact] of Object.entries(facts)) {
    const [term, description] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = name;
    description.textContent = fact;
    at("about").append(term, description);
  }
}

function failed(error) {
  at("status").textContent = "Not ready";
  at("status").className = "pill bad";
  problem(error.message || String(error));
  document.documentElement.dataset.selfCheck = "not ready";
}

function problem(said) {
  at("problem").textContent = said;
  at("problem").hidden = false;
}

function bar(value) {
  const drawn = document.createElement("progress");
  drawn.max = 1;
  drawn.value = Math.min(Math.max(value, 0), 1);
  drawn.setAttribute("aria-hidden", "true");
  return drawn;
}

function text(said, kind = "") {
  const span = document.createElement("span");
  span.textContent = said; // labels are data, never markup
  span.className = kind;
  return span;
}

function cell(content, kind = "") {
  const made = document.createElement("td");
  made.append(content);
  made.className = kind;
  return made;
}

function percent(value) {
  return value > 0 && value < 0.001 ? "< 0.1 %" : `${(100 * value).toFixed(1)} %`;
}

function readable(value) {
  return Number.isFinite(value) ? String(Number(value.toPrecision(3))) : "not a number";
}
