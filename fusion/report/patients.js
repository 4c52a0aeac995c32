// Lets a reader pick a sample. Everything shown is set as text, so no name or id can become markup.
const data = JSON.parse(document.getElementById("data").textContent);
const [search, label, filter, rate, alerts, found, list, detail] = [
  "search", "label", "filter", "rate", "alerts", "found", "samples", "sample",
].map((id) => document.getElementById(id));
const LIMIT = 200;
let chosen = 0;

function make(tag, text = "", ...children) {
  const node = document.createElement(tag);
  node.append(text, ...children);
  return node;
}

const size = (n) => n.toLocaleString("en");

function format(value) {
  return value == null ? "–" : value.toFixed(3);
}

// A quantity as it was rounded for the page, with its unit.
function amount(value) {
  return value == null ? "unknown" : `${value} ${data.unit}`.trim();
}

const said = (sample) => (data.quantities ? amount(sample.p[label.value]) : format(sample.p[label.value]));

function outcome(sample) {
  const y = sample.y[label.value];
  return y === null ? "unknown" : y === 1 ? "positive" : "negative";
}

// How many samples may raise an alert, by rank: the same rule as that of the report.
const allowed = () => Math.floor((Number(rate.value) / 100) * data.ranked[label.value] + 1e-9);
const raises = (sample) => sample.rank[label.value] !== null && sample.rank[label.value] <= allowed();

function judge(sample) {
  if (outcome(sample) === "positive") return raises(sample) ? "found" : "missed";
  return raises(sample) && outcome(sample) === "negative" ? "alert" : "";
}

const VERDICTS = {
  found: "a positive that is found",
  missed: "a positive that is missed",
  alert: "a false alert",
};

// Errors first, then how far the probability lies from the outcome; -1 where that is not known.
function surprise(sample) {
  const [y, p] = [sample.y[label.value], sample.p[label.value]];
  if (y === null || p === null) return -1;
  if (data.quantities) return Math.abs(y - p) / data.spread[label.value];
  return Math.abs(y - p) + (["missed", "alert"].includes(judge(sample)) ? 1 : 0);
}

const FILTERS = {
  all: () => true,
  positive: (sample) => outcome(sample) === "positive",
  found: (sample) => judge(sample) === "found",
  alert: (sample) => judge(sample) === "alert",
  missed: (sample) => judge(sample) === "missed",
  imputed: (sample) => sample.modalities.some((state) => state.state === "imputed"),
};

function table(caption, headings, rows, texts = 1) {
  const words = (column) => (column < texts ? "words" : "");
  const head = make("tr");
  headings.forEach((text, i) => head.append(Object.assign(make("th", text), { scope: "col", className: words(i) })));
  const body = make("tbody");
  for (const [first, ...cells] of rows) {
    const row = make("tr", "", Object.assign(make("th", first), { scope: "row" }));
    row.append(...cells.map((cell, i) => Object.assign(make("td", cell), { className: words(i + 1) })));
    body.append(row);
  }
  const scroll = make("div", "", make("table", "", make("thead", "", head), body));
  scroll.className = "scroll";
  return [make("h3", caption), scroll];
}

function bar(share) {
  const track = make("span", "", make("span"));
  track.className = "track";
  track.firstElementChild.style.width = `${100 * share}%`;
  return track;
}

// Rows without a value are left out.
function bars(caption, heading, names, values) {
  const rows = names.flatMap((name, i) => (values[i] === null ? [] : [[name, format(values[i]), bar(values[i])]]));
  if (!rows.length) return [];
  const [title, scroll] = table(caption, [heading, "probability", ""], rows);
  scroll.classList.add("bars");
  return [title, scroll];
}

function folded(summary, ...children) {
  return children.length ? [make("details", "", make("summary", summary), ...children)] : [];
}

function compared(sample) {
  const [y, p] = [sample.y[label.value], sample.p[label.value]];
  if (y === null || p === null) return `Predicted ${amount(p)}. Recorded: ${amount(y)}.`;
  const off = Number(Math.abs(y - p).toPrecision(3));
  const side = y === p ? "as predicted" : `${amount(off)} ${y > p ? "more" : "less"} than predicted`;
  return `Predicted ${amount(p)}. Recorded: ${amount(y)}, ${side}.`;
}

function drawn(name, attributes, text = "") {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  Object.entries(attributes).forEach(([key, value]) => node.setAttribute(key, value));
  node.textContent = text;
  return node;
}

// The predicted survival from 1 at time 0 on; what was recorded stands below it in words.
function curve(sample) {
  if (!data.times.length) return [];
  const [width, height, left, base] = [520, 240, 40, 205];
  const last = data.times[data.times.length - 1];
  const x = (time) => left + (time / last) * (width - left - 20);
  const y = (share) => base - share * (base - 12);
  const points = [[0, 1], ...data.times.map((time, i) => [time, sample.curve[i]])];
  const picture = drawn("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", class: "curve" });
  picture.setAttribute("aria-label", `Predicted chance to be without event over time; ${sample.recorded}`);
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    picture.append(drawn("line", { x1: left, x2: width - 20, y1: y(share), y2: y(share), class: "grid" }));
    picture.append(drawn("text", { x: left - 6, y: y(share) + 4, "text-anchor": "end" }, share));
  }
  for (const part of [0, 0.25, 0.5, 0.75, 1]) {
    picture.append(drawn("text", { x: x(part * last), y: base + 16, "text-anchor": "middle" }, Number((part * last).toPrecision(3))));
  }
  picture.append(drawn("text", { x: (left + width - 20) / 2, y: base + 33, "text-anchor": "middle" }, data.unit ? `time (${data.unit})` : "time"));
  picture.append(drawn("polyline", { points: points.map(([time, share]) => `${x(time)},${y(share)}`).join(" "), class: "line" }));
  if (sample.time !== null && sample.time <= last) {
    const at = x(sample.time);
    picture.append(drawn("line", { x1: at, x2: at, y1: y(0), y2: y(1), class: "recorded" }));
  }
  const caption = make("p", `Predicted chance to be without event over time. Dashed: ${sample.recorded}.`);
  caption.className = "aside";
  return [make("h3", "Survival"), caption, picture];
}

// What was predicted along the stay, with this prediction marked, and below it when rows of each modality arrived.
function course(sample) {
  if (!data.stays.length) return [];
  const stay = data.stays[sample.stay];
  const [said, seen] = [stay.p[label.value], stay.y[label.value]];
  const rows = stay.arrived.length ? data.names : [];
  const [width, left, base] = [520, 60, 205];
  const height = base + 40 + 16 * rows.length;
  const last = Math.max(...stay.hours, 1);
  const most = data.quantities ? Math.max(...said, ...seen.filter((value) => value !== null), 1e-9) : Math.max(...said, 0.1);
  const x = (hour) => left + (Math.max(hour, 0) / last) * (width - left - 20);
  const y = (value) => base - (Math.max(value, 0) / most) * (base - 12);
  const picture = drawn("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", class: "curve" });
  picture.setAttribute("aria-label", `What was predicted at ${said.length} times of the stay`);
  for (const part of [0, 0.25, 0.5, 0.75, 1]) {
    const at = y(part * most);
    picture.append(drawn("line", { x1: left, x2: width - 20, y1: at, y2: at, class: "grid" }));
    picture.append(drawn("text", { x: left - 6, y: at + 4, "text-anchor": "end" }, Number((part * most).toPrecision(3))));
    picture.append(drawn("text", { x: x(part * last), y: base + 16, "text-anchor": "middle" }, Number((part * last).toPrecision(3))));
  }
  picture.append(drawn("line", { x1: x(sample.hour), x2: x(sample.hour), y1: y(0), y2: y(most), class: "recorded" }));
  picture.append(drawn("polyline", { points: stay.hours.map((hour, i) => `${x(hour)},${y(said[i])}`).join(" "), class: "line" }));
  stay.hours.forEach((hour, i) => {
    if (!data.quantities && seen[i] === 1) picture.append(drawn("circle", { cx: x(hour), cy: y(said[i]), r: 4 }));
  });
  rows.forEach((name, i) => {
    const at = base + 34 + 16 * i;
    picture.append(drawn("text", { x: left - 6, y: at + 8, "text-anchor": "end" }, name));
    const ticks = stay.arrived[i].filter((hour) => hour <= last).map((hour) => `M${x(hour)} ${at}v10`);
    picture.append(drawn("path", { d: ticks.join(""), class: "line" }));
  });
  const dots = data.quantities ? "" : " Dots: recorded as positive.";
  const caption = make("p", `Hours since the beginning of the stay; dashed: this prediction.${dots} Ticks: when something arrived.`);
  caption.className = "aside";
  return [make("h3", "Along the stay"), caption, picture];
}

const called = (sample) => (data.stays.length ? `${sample.id} at ${sample.hour} h` : sample.id);

function verdict(sample) {
  if (data.quantities) return compared(sample);
  const rank = sample.rank[label.value];
  const place = rank === null ? "" : `, rank ${size(rank)} of ${size(data.ranked[label.value])}`;
  const alert = raises(sample) ? "an alert" : "no alert";
  const judged = VERDICTS[judge(sample)];
  const recorded = data.times.length ? `${sample.recorded} (${outcome(sample)})` : outcome(sample);
  return `Predicted ${format(sample.p[label.value])}${place}: ${alert}. Recorded: ${recorded}` +
    `${judged ? `, ${judged}` : ""}.`;
}

// What may be true of the sample, of the label that is looked at where each is a question of its own.
function held(sample) {
  const set = sample.sets[Math.min(label.value, sample.sets.length - 1)];
  if (set === undefined) return [];
  const what = data.quantities ? `The ${Math.round(100 * data.level)} % interval` : `The set that holds the truth for ${Math.round(100 * data.level)} % of the samples`;
  const text = `${what}: ${data.quantities ? `${set} ${data.unit}`.trim() : set}.`;
  return [Object.assign(make("p", text), { className: "aside" })];
}

function inventory(sample) {
  const rows = sample.modalities.map((state, i) => [
    data.modalities[i], state.state, ...(data.timed ? [state.when] : []),
    ...data.explained.map((part) => format(state[part])),
  ]);
  if (!rows.length) return [];
  const names = { p: "says alone", weight: "weight" };
  const times = data.timed ? ["hours since the start"] : [];
  const headings = ["modality", "state", ...times, ...data.explained.map((part) => names[part])];
  const meaning = data.explained.includes("weight") && data.weights ? [make("p", data.weights)] : [];
  meaning.forEach((note) => (note.className = "aside"));
  return [...table("What this sample has", headings, rows, 2 + times.length), ...meaning];
}

// Of single modalities to all: the model shown less than the sample has, and what it has at last.
function combinations(sample) {
  const has = data.names.filter((name, i) => sample.modalities[i].state === "present").sort().join("+");
  const names = data.combinations.map((name, i) => {
    const same = name === has && format(sample.combinations[i]) === format(sample.p[label.value]);
    return `${name.replaceAll("+", " + ")}${name === has ? ` (all it has${same ? ": the prediction" : ""})` : ""}`;
  });
  return bars("What the model says when shown only", "modalities", names, sample.combinations);
}

function show() {
  const sample = data.samples[chosen];
  detail.replaceChildren();
  if (!sample) return;
  const answer = Object.assign(make("p", verdict(sample)), { className: "answer" });
  detail.append(make("h2", `Sample ${called(sample)}`), answer);
  if (sample.fold !== null) {
    const text = `Predicted by the model of fold ${sample.fold}, which was trained on other patients.`;
    detail.append(Object.assign(make("p", text), { className: "aside" }));
  }
  detail.append(...held(sample), ...curve(sample), ...course(sample), ...inventory(sample), ...combinations(sample));
  const other = bars("Each reads the heads of the same model in another way", "readout", data.readouts, sample.readouts);
  detail.append(...folded("Other readouts of the same model", ...other));
  if (data.quantities && data.labels.length > 1) {
    const rows = data.labels.map((name, i) => [name, amount(sample.p[i]), amount(sample.y[i])]);
    detail.append(...table("Every outcome", ["outcome", "predicted", "recorded"], rows));
  } else if (data.labels.length > 1) {
    const names = data.labels.map((name, i) => (sample.y[i] === 1 ? `${name} ●` : name));
    detail.append(...bars("Every label (● recorded as positive)", "label", names, sample.p));
  }
}

function entry(index) {
  const sample = data.samples[index];
  const mark = !data.quantities && outcome(sample) === "positive" ? " ●" : "";
  const button = make("button", "", make("span", called(sample) + mark), make("span", said(sample)));
  button.type = "button";
  if (index === chosen) button.setAttribute("aria-current", "true");
  button.addEventListener("click", () => {
    list.querySelector("[aria-current]")?.removeAttribute("aria-current");
    button.setAttribute("aria-current", "true");
    chosen = index;
    show();
  });
  return make("li", "", button);
}

function update() {
  const wanted = search.value.trim().toLowerCase();
  const matches = [...data.samples.keys()].filter(
    (i) => data.samples[i].id.toLowerCase().includes(wanted) && FILTERS[filter.value](data.samples[i]),
  );
  matches.sort((i, j) => surprise(data.samples[j]) - surprise(data.samples[i]));
  if (!matches.includes(chosen)) chosen = matches[0] ?? -1;
  const cut = matches.length > LIMIT ? `, the first ${LIMIT} listed: search to narrow` : "";
  found.textContent =
    `${size(matches.length)} of ${size(data.samples.length)} samples${cut}. ` +
    (data.quantities ? "Largest errors first." : "Errors first; ● is positive.");
  const number = (kind) => data.samples.filter(FILTERS[kind]).length;
  const raised = data.samples.filter(raises).length;
  alerts.textContent =
    `${size(raised)} ${data.samples.length < data.ranked[label.value] ? "of the samples shown" : "samples"} raise an alert: ${size(number("found"))} of ${size(number("positive"))} positives are ` +
    `found, ${size(number("alert"))} alerts are false.`;
  list.replaceChildren(...matches.slice(0, LIMIT).map(entry));
  show();
}

rate.value = Number((100 * data.rate).toPrecision(6));
label.append(...data.labels.map((name, i) => Object.assign(make("option", name), { value: i })));
[search, label, filter, rate].forEach((control) => control.addEventListener("input", update));
update();
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((part) => (part.open = true)));
