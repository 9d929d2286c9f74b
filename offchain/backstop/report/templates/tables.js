// Makes each table of a page a tool: sorting, search, choices, CSV, and an address for every row.
"use strict";
const Tables = (() => {
  const MANY = 8; // rows, above which a table can be searched
  const MOST_CHOICES = 12; // different words of a column that may be chosen from
  const MOST_LABEL = 16; // letters of a column's name that fit beside a figure in half the width of a telephone
  const PLACES = { wad: 18, ray: 27, rad: 45, micro: 6, billionths: 9, bps: 4, count: 0, seconds: 0 };
  const SCALES = { k: 3, M: 6, B: 9, T: 12, "%": -2 };
  const kept = new Map(); // what a reader chose, by table: a live page replaces the tables themselves

  const make = (tag, own = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(own)) {
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children);
    return node;
  };
  const words = (node) => (node ? node.textContent.replace(/\s+/g, " ").trim() : "");
  const named = (heading) => heading?.dataset.name ?? words(heading); // without what it found
  const slug = (text) => text.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "").slice(0, 40) || "row";
  const tight = (text) => text.toLowerCase().replace(/[^a-z0-9%]+/g, "");

  // All digits of a figure, for a file: 1448065.25; a share of bps is a fraction of one.
  const digits = (data) => {
    const places = PLACES[data.dataset.unit] ?? 0;
    const negative = data.getAttribute("value").startsWith("-");
    const raw = data.getAttribute("value").replace("-", "").padStart(places + 1, "0");
    const rest = raw.slice(raw.length - places).replace(/0+$/, "");
    return (negative ? "-" : "") + raw.slice(0, raw.length - places) + (places && rest ? `.${rest}` : "");
  };

  // A number that is printed without its digits: "49.6%", "<0.1%", "\u22123.2M"; null if it is none.
  const printed = (text) => {
    const match = /^[<>]?([-\u2212]?)([\d,]+(?:\.\d+)?)([kMBT%]?)$/.exec(text);
    return match && Number((match[1] ? "-" : "") + match[2].replaceAll(",", "")) * 10 ** (SCALES[match[3]] ?? 0);
  };

  // What a cell is sorted by: an exact integer, a number, a text, or null where there is nothing.
  const key = (cell) => {
    const data = cell?.querySelector("data");
    if (data) return BigInt(data.getAttribute("value"));
    const time = cell?.querySelector("time");
    if (time) return time.dateTime;
    const text = words(cell);
    if (text === "" || text === "–") return null;
    return printed(text) ?? text.toLowerCase();
  };
  // The size of a cell, for a search such as lost>50k.
  const size = (cell) => {
    const data = cell.querySelector("data");
    return data ? Number(digits(data)) : printed(words(cell));
  };
  const order = (a, b) => {
    if (typeof a === "string" || typeof b === "string") return String(a).localeCompare(String(b), "en", { numeric: true });
    return a < b ? -1 : a > b ? 1 : 0;
  };

  // A file's text cell; what a spreadsheet would run as a formula is quoted.
  const quoted = (text) => {
    const safe = /^[=+@\t\r-]/.test(text) && !/^-?[\d.]+$/.test(text) ? `'${text}` : text;
    return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  const values = (cell) => {
    const data = [...cell.querySelectorAll("data")];
    if (data.length) return data.map(digits);
    const time = cell.querySelector("time");
    const short = cell.querySelector("code[data-tip]"); // an address in a few digits
    if (short) return [short.dataset.tip];
    return [time ? time.dateTime : words(cell).replace("\u2212", "-").replace(/^–$/, "")];
  };
  const csv = (heads, rows) => {
    const cells = rows.map((row) => [...row.cells].map(values));
    const widths = heads.map((_, i) => Math.max(1, ...cells.map((row) => row[i]?.length ?? 1)));
    const names = (head, width) => (width === 3 ? ["", " low", " high"] : Array.from({ length: width }, (_, i) => (i ? ` ${i + 1}` : "")))
      .map((end) => head + end);
    const lines = [heads.flatMap((head, i) => names(head, widths[i]))];
    for (const row of cells) {
      lines.push(heads.flatMap((_, i) => Array.from({ length: widths[i] }, (_unused, k) => row[i]?.[k] ?? "")));
    }
    return lines.map((line) => line.map(quoted).join(",")).join("\r\n") + "\r\n";
  };
  const save = (name, content, kind) => {
    const url = URL.createObjectURL(new Blob([content], { type: kind }));
    make("a", { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  };

  // The heading above a table, or the caption of its chart.
  const headingOf = (table) => {
    const figure = table.closest("figure");
    if (figure) return words(figure.querySelector("figcaption")) || figure.dataset.name || "";
    const before = [...document.querySelectorAll("h1, h2, h3")]
      .filter((each) => each.compareDocumentPosition(table) & Node.DOCUMENT_POSITION_FOLLOWING);
    return named(before.at(-1));
  };
  const sectionOf = (node) => node.closest("section")?.id || slug(headingOf(node));
  const placeOf = (table) => table.dataset.key ??
    `${sectionOf(table)}-${[...(table.closest("section") ?? document).querySelectorAll("table:not([data-key])")].indexOf(table)}`;

  // Terms of a search: words, column:word, column>number, column<number; all of them have to hold.
  const terms = (text, heads) => text.trim().split(/\s+/).filter(Boolean).map((term) => {
    const match = /^([^:<>]+)([:<>])(.+)$/.exec(term);
    const column = match ? heads.findIndex((head) => tight(head).startsWith(tight(match[1]))) : -1;
    const wanted = match?.[3].toLowerCase() ?? "";
    if (column < 0) return (row) => words(row).toLowerCase().includes(term.toLowerCase());
    if (match[2] === ":") return (row) => words(row.cells[column]).toLowerCase() === wanted;
    const bound = printed(match[3]);
    return (row) => {
      const own = size(row.cells[column]);
      return own !== null && bound !== null && (match[2] === ">" ? own > bound : own < bound);
    };
  });

  function enhance(table) {
    const heads = [...(table.tHead?.rows[0]?.cells ?? [])];
    const body = table.tBodies[0];
    if (!body || table.dataset.tool) return;
    const rows = [...body.rows];
    const fixed = "fixed" in table.dataset || table.classList.contains("ledger") || rows.some((row) => row.cells.length !== heads.length);
    const name = headingOf(table);
    const id = placeOf(table);
    const titles = heads.map(words);
    const state = kept.get(id) ?? { column: -1, descending: false, search: "", choices: {}, all: false };
    kept.set(id, state);
    const first = Number(table.dataset.first ?? Infinity);
    table.dataset.tool = id;
    // On a telephone the rows of a wide table are cards, each figure beside the name of its column.
    if (heads.length > 3 && !table.matches(".ledger, .bands") && rows.every((row) => row.cells.length === heads.length)) {
      table.classList.add("cards");
      for (const row of rows) {
        [...row.cells].forEach((cell, i) => {
          if ((i || cell.tagName === "TD") && !cell.dataset.label) cell.dataset.label = titles[i];
          if (cell.querySelector(".command")) cell.classList.add("wide");
        });
      }
    }
    const labels = rows.length ? [...rows[0].cells].map((cell) => cell.dataset.label ?? "") : [];
    if (labels.some((label) => label.length > MOST_LABEL) || body.querySelector("td br, td data ~ data")) table.classList.add("long");
    if (!table.hasAttribute("aria-label")) table.setAttribute("aria-label", name || "Figures");

    const count = make("output", { class: "count" });
    const more = make("button", { type: "button", class: "more", onclick: () => { state.all = !state.all; show(); } });
    const sortable = fixed || rows.length < 2 ? [] : heads.map((head, i) => (titles[i] && !head.hasAttribute("aria-hidden") ? i : -1)).filter((i) => i >= 0);

    function shown() {
      const holds = terms(state.search, titles);
      for (const [column, wanted] of Object.entries(state.choices)) {
        if (wanted) holds.push((row) => words(row.cells[column]) === wanted);
      }
      const found = rows.filter((row) => holds.every((each) => each(row)));
      if (state.column < 0) return found;
      const keys = new Map(found.map((row) => [row, key(row.cells[state.column])]));
      return found.sort((a, b) => {
        const [x, y] = [keys.get(a), keys.get(b)];
        if (x === null || y === null) return (x === null) - (y === null); // nothing comes last either way
        return state.descending ? order(y, x) : order(x, y);
      });
    }
    function show() {
      const found = shown();
      const visible = state.all ? found : found.slice(0, first);
      const others = new Set(rows);
      visible.forEach((row) => { row.hidden = false; others.delete(row); });
      others.forEach((row) => { row.hidden = true; });
      if (sortable.length) body.append(...found);
      heads.forEach((head, i) => {
        if (sortable.includes(i)) head.setAttribute("aria-sort", i !== state.column ? "none" : state.descending ? "descending" : "ascending");
      });
      const text = (rows.length > MANY && !fixed) || visible.length < rows.length ? `${visible.length} of ${rows.length} rows` : "";
      if (count.textContent !== text) count.textContent = text;
      more.hidden = found.length <= first;
      more.textContent = state.all ? `Show the first ${first}` : `Show all ${found.length}`;
      rove();
    }
    const sortBy = (column, descending) => { Object.assign(state, { column, descending }); show(); };

    for (const i of sortable) {
      const button = make("button", { type: "button", class: "sort", onclick: () => {
        const falls = typeof key(rows.map((row) => row.cells[i]).find((cell) => key(cell) !== null)) !== "string";
        if (state.column !== i) sortBy(i, falls);
        else if (state.descending === falls) sortBy(i, !falls);
        else sortBy(-1, false);
      } });
      button.append(...heads[i].childNodes);
      if (heads[i].dataset.tip) button.dataset.tip = heads[i].dataset.tip;
      delete heads[i].dataset.tip;
      heads[i].append(button);
    }

    const bar = make("div", { class: "tools" });
    if (rows.length > MANY && !fixed) {
      bar.append(make("input", {
        type: "search", placeholder: "Search", "aria-label": `Search ${name}`, value: state.search, "data-key": "search",
        title: `Words that a row has. Or of a column: ${tight(titles.find(Boolean) ?? "name")}:word, ${tight(titles.at(-1) || "lost")}>50k`,
        oninput: (event) => { state.search = event.target.value; show(); },
      }));
      titles.forEach((title, i) => {
        const different = new Set(rows.map((row) => (row.cells[i].querySelector("data, time, .command") ? null : words(row.cells[i]))));
        const plain = ![...different].some((each) => each === null || printed(each) !== null);
        if (!title || !plain || different.size < 2 || different.size > MOST_CHOICES) return;
        const options = [["", `${title}: all`], ...[...different].sort().map((each) => [each, each || "(none)"])]
          .map(([value, text]) => make("option", { value, selected: value === (state.choices[i] ?? "") }, text));
        bar.append(make("select", {
          "aria-label": `${title}, chosen`, "data-key": `choice-${i}`,
          onchange: (event) => { state.choices[i] = event.target.value; show(); },
        }, ...options));
      });
    }
    if (sortable.length && table.classList.contains("cards")) {
      const options = sortable.flatMap((i) => [[`${i} 1`, `${titles[i]}, falling`], [`${i} 0`, `${titles[i]}, rising`]]);
      bar.append(make("select", {
        class: "sortby", "aria-label": `Sort ${name}`, "data-key": "sortby",
        onchange: (event) => { const [column, falls] = event.target.value.split(" "); sortBy(Number(column), falls === "1"); },
      }, make("option", { value: "-1 0" }, "Sort: as listed"), ...options.map(([value, text]) => make("option", { value }, text))));
    }
    bar.append(count, make("button", {
      type: "button", class: "csv", "data-key": "csv", "aria-label": `CSV of ${name}`, title: "The rows that are shown, with all digits",
      onclick: () => save(`${slug(name)}.csv`, csv(titles, [...body.rows].filter((row) => !row.hidden)), "text/csv"),
    }, "CSV"));
    const around = table.closest(".table");
    const box = around && !around.parentElement.matches(".pair, .grid") ? around : table; // a pair has two columns
    box.before(bar);
    box.after(more);

    // Rows get an address of their own, and the name of a row leads to it; points of a chart have none.
    for (const row of table.dataset.key ? [] : rows) {
      const head = row.querySelector("th[scope=row]") ?? row.cells[0];
      if (!head || !words(head)) continue;
      if (!row.id) {
        const wish = `${sectionOf(table)}-${slug(words(head))}`;
        let free = wish;
        for (let k = 2; document.getElementById(free); k++) free = `${wish}-${k}`;
        row.id = free;
      }
      head.append(make("a", { class: "here", href: `#${row.id}`, "aria-label": `Link to ${words(head)}`, tabindex: -1 }));
    }

    // One stop of the Tab key for all cells: arrows go from there to what can be pointed at.
    function rove() {
      const stops = [...body.querySelectorAll(":is(data[title], a, [data-tip])")];
      const shown = stops.filter((each) => !each.closest("tr").hidden);
      const stop = shown.find((each) => each.getAttribute("tabindex") === "0") ?? shown[0];
      stops.forEach((each) => { each.tabIndex = each === stop ? 0 : -1; });
    }
    body.addEventListener("keydown", (event) => {
      const at = event.target.closest("tbody [tabindex]");
      const step = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key];
      if (!at || !step || event.altKey || event.ctrlKey || event.metaKey) return;
      const now = [...body.querySelectorAll("tr:not([hidden]) [tabindex]")];
      let to = now[now.indexOf(at) + step[0]];
      if (step[1]) {
        const cell = at.closest("th, td");
        let row = cell.parentElement;
        do row = step[1] > 0 ? row.nextElementSibling : row.previousElementSibling; while (row && (row.hidden || !row.querySelector("[tabindex]")));
        to = row?.cells[cell.cellIndex]?.querySelector("[tabindex]") ?? row?.querySelector("[tabindex]");
      }
      if (!to) return;
      event.preventDefault();
      to.focus();
    });
    body.addEventListener("focusin", ({ target }) => {
      if (!target.hasAttribute("tabindex")) return;
      body.querySelectorAll('[tabindex="0"]').forEach((each) => { each.tabIndex = -1; });
      target.tabIndex = 0;
    });

    table.reveal = (row) => {
      if (!row.hidden) return;
      if (!shown().includes(row)) {
        Object.assign(state, { search: "", choices: {} });
        bar.querySelectorAll("input, select").forEach((each) => { each.value = each.className === "sortby" ? "-1 0" : ""; });
      }
      state.all = true;
      show();
    };
    table.search = (text) => {
      state.search = text;
      const input = bar.querySelector("input");
      if (input) input.value = text;
      show();
    };
    show();
  }

  const all = (root) => root.querySelectorAll("table").forEach(enhance);

  // Headings lead to their sections.
  function headings(root) {
    for (const heading of root.querySelectorAll("section > h2, section > div > h2")) {
      const section = heading.closest("section");
      if (section.id && !heading.querySelector(".here")) {
        heading.append(make("a", { class: "here", href: `#${section.id}`, "aria-label": `Link to ${named(heading)}` }));
      }
    }
  }

  // Goes to what the address names, also where it is hidden; a link may also say what to search for.
  function go() {
    let id = "";
    try { id = decodeURIComponent(location.hash.slice(1)); } catch { /* no address of ours */ }
    const target = id && document.getElementById(id);
    if (!target) return;
    target.closest("table")?.reveal?.(target);
    target.closest("details")?.setAttribute("open", "");
    document.querySelectorAll(".found").forEach((each) => each.classList.remove("found"));
    if (target.matches("tr")) target.classList.add("found");
    target.scrollIntoView({ block: target.matches("tr") ? "center" : "start" });
    if (target.matches("tr")) target.querySelector(".here")?.focus({ preventScroll: true });
  }
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-search]");
    if (link) document.querySelector(`${link.getAttribute("href")} table`)?.search?.(link.dataset.search);
  });
  addEventListener("hashchange", go);

  // A live page replaces a section: what was chosen there holds on, and so does the focus.
  function replace(section, html) {
    const tools = (root) => [...root.querySelectorAll("[data-key], .sort, .more, [tabindex]")];
    const at = tools(section).indexOf(document.activeElement);
    section.innerHTML = html;
    Words.mark(section);
    all(section);
    headings(section);
    if (section.matches("section")) headings(section.parentElement);
    if (at >= 0) tools(section)[at]?.focus({ preventScroll: true });
  }

  // Commands are there to be copied.
  const commands = () => document.querySelectorAll("code.command").forEach((code) => {
    const button = make("button", { type: "button", class: "copy", "aria-label": `Copy ${code.textContent}`, onclick: async () => {
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = "Copied";
      } catch { // a browser may keep its clipboard from files: the command is marked instead
        getSelection().selectAllChildren(code);
        button.textContent = "Marked";
      }
    } }, "Copy");
    code.after(button);
  });

  const start = () => { Words.mark(document); all(document); headings(document); commands(); addEventListener("load", go); };
  return { start, all, replace, make, save, words, named, slug };
})();
Tables.start();
