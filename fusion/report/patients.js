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

function verdict(sample) {
  const rank = sample.rank[label.value];
  const place = rank === null ? "" : `, rank ${size(rank)} of ${size(data.ranked[label.value])}`;
  const alert = raises(sample) ? "an alert" : "no alert";
  const judged = VERDICTS[judge(sample)];
  return `Predicted ${format(sample.p[label.value])}${place}: ${alert}. Recorded: ${outcome(sample)}` +
    `${judged ? `, ${judged}` : ""}.`;
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
  const said = Object.assign(make("p", verdict(sample)), { className: "answer" });
  detail.append(make("h2", `Sample ${sample.id}`), said);
  if (sample.fold !== null) {
    const text = `Predicted by the model of fold ${sample.fold}, which was trained on other patients.`;
    detail.append(Object.assign(make("p", text), { className: "aside" }));
  }
  detail.append(...inventory(sample), ...combinations(sample));
  const other = bars("Each reads the heads of the same model in another way", "readout", data.readouts, sample.readouts);
  detail.append(...folded("Other readouts of the same model", ...other));
  if (data.labels.length > 1) {
    const names = data.labels.map((name, i) => (sample.y[i] === 1 ? `${name} ●` : name));
    detail.append(...bars("Every label (● recorded as positive)", "label", names, sample.p));
  }
}

function entry(index) {
  const sample = data.samples[index];
  const mark = outcome(sample) === "positive" ? " ●" : "";
  const button = make("button", "", make("span", sample.id + mark), make("span", format(sample.p[label.value])));
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
    `${size(matches.length)} of ${size(data.samples.length)} samples${cut}. Errors first; ● is positive.`;
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
