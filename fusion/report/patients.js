// Lets a reader pick a sample. Everything shown is set as text, so no name or id can become markup.
const data = JSON.parse(document.getElementById("data").textContent);
const [search, label, filter, threshold, found, list, detail] = [
  "search", "label", "filter", "threshold", "found", "samples", "sample",
].map((id) => document.getElementById(id));
const LIMIT = 200;
let chosen = 0;

function make(tag, text = "", ...children) {
  const node = document.createElement(tag);
  node.append(text, ...children);
  return node;
}

function format(value) {
  return value == null ? "–" : value.toFixed(3);
}

function outcome(sample) {
  const y = sample.y[label.value];
  return y === null ? "unknown" : y === 1 ? "positive" : "negative";
}

function judge(sample) {
  const alarm = sample.p[label.value] !== null && sample.p[label.value] >= Number(threshold.value);
  if (outcome(sample) === "positive") return alarm ? "found" : "missed";
  return alarm && outcome(sample) === "negative" ? "alarm" : "";
}

const VERDICTS = {
  found: "A positive that was found.",
  missed: "A positive that was missed.",
  alarm: "A false alarm: a negative above the threshold.",
  "": "",
};

// How far the probability lies from the outcome; -1 where that is not known.
function surprise(sample) {
  const [y, p] = [sample.y[label.value], sample.p[label.value]];
  return y === null || p === null ? -1 : Math.abs(y - p);
}

const FILTERS = {
  all: () => true,
  positive: (sample) => outcome(sample) === "positive",
  alarm: (sample) => judge(sample) === "alarm",
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

function bars(caption, heading, names, values) {
  if (!names.length) return [];
  const rows = names.map((name, i) => [name, format(values[i]), values[i] === null ? "" : bar(values[i])]);
  const [title, scroll] = table(caption, [heading, "probability", ""], rows);
  scroll.classList.add("bars");
  return [title, scroll];
}

function show() {
  const sample = data.samples[chosen];
  detail.replaceChildren();
  if (!sample) return;
  const p = format(sample.p[label.value]);
  const verdict = make("p", VERDICTS[judge(sample)]);
  verdict.className = "verdict";
  const fold = sample.fold === null ? "" : ` Predicted by the model of fold ${sample.fold}.`;
  const title = make("h2", `Sample ${sample.id}`);
  const text = `Predicted probability ${p}; the recorded outcome is ${outcome(sample)}.${fold}`;
  detail.append(title, make("p", text), verdict);
  const rows = sample.modalities.map((state, i) => [
    data.modalities[i], state.state, ...data.explained.map((part) => format(state[part])),
  ]);
  if (rows.length) {
    const names = { p: "probability alone", weight: "weight" };
    detail.append(...table("Modalities", ["modality", "state", ...data.explained.map((part) => names[part])], rows, 2));
  }
  detail.append(...bars("Probability under every combination", "modalities", data.combinations, sample.combinations));
  detail.append(...bars("Readouts of the method", "readout", data.readouts, sample.readouts));
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
  const size = (n) => n.toLocaleString("en");
  found.textContent =
    `${size(matches.length)} of ${size(data.samples.length)} samples${cut}. Least expected first; ● is positive.`;
  list.replaceChildren(...matches.slice(0, LIMIT).map(entry));
  show();
}

label.append(...data.labels.map((name, i) => Object.assign(make("option", name), { value: i })));
[search, label, filter, threshold].forEach((control) => control.addEventListener("input", update));
update();
