"use strict";
(() => {
  const $ = (query, from = document) => from.querySelector(query);
  const all = (query, from = document) => [...from.querySelectorAll(query)];
  const made = (name, about = {}, ...inside) => {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(about)) {
      if (value !== null && value !== undefined) node.setAttribute(key, value);
    }
    node.append(...inside);
    return node;
  };
  const data = JSON.parse($("#payload").textContent);
  const dark = () => {
    const told = document.documentElement.dataset.theme;
    return told ? told === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  };

  // Tables: the first rows came with the page, and every row is made the same way here.
  const place = (value, [low, high]) => ((value - low) / (high - low)).toFixed(4);
  const bar = (cell, scale) => {
    if (!scale || cell.length < 4) return [];
    let style = `--v:${place(cell[3], scale)}`;
    if (cell.length > 5) style += `;--l:${place(cell[4], scale)};--h:${place(cell[5], scale)}`;
    return [made("u", { class: "bar", "aria-hidden": "true", style })];
  };
  const rowOf = (row, grid) => {
    const node = made("tr", { id: row.id, class: row.role });
    row.cells.forEach((cell, at) => {
      if (at === 0) {
        const link = { class: "anchor", href: `#${row.id}`, "aria-label": "link to this row" };
        const name = row.seeds.length
          ? made("button", { class: "more", type: "button", "aria-expanded": "false" }, cell[0])
          : made("span", {}, cell[0]);
        const role = row.role === "model" ? [] : [made("small", {}, row.role)];
        node.append(made("th", { scope: "row" }, made("a", link, "#"), name, ...role));
      } else if (grid.words.includes(at)) {
        node.append(made("td", { class: "word" }, cell[0]));
      } else {
        const text = cell[0] + (cell[2] === "tied" ? "†" : "");
        const shown = [made("span", { class: cell[2] || null }, text)];
        if (cell[1]) shown.push(made("i", {}, cell[1]));
        node.append(made("td", {}, ...shown, ...bar(cell, grid.scales[at])));
      }
    });
    return node;
  };
  const detailOf = (row, grid) => {
    const heads = ["seed", "status", "seconds", ...grid.numbers.map((at) => grid.heads[at])];
    const head = made("tr", {}, ...heads.map((text) => made("th", { scope: "col" }, text)));
    const body = row.seeds.map(([seed, status, why, seconds, values]) => {
      const told = why ? `${status}: ${why}` : status;
      const time = seconds === null ? "" : seconds.toFixed(1);
      return made("tr", {}, ...[String(seed), told, time, ...values].map((t) => made("td", {}, t)));
    });
    const note = /\[(\d+)\]$/.exec(row.cells[0][0]);
    const said = note ? grid.notes.filter((text) => text.startsWith(note[0])) : [];
    const inner = made("table", {}, made("thead", {}, head), made("tbody", {}, ...body));
    const cell = made("td", { colspan: grid.heads.length });
    cell.append(inner, ...said.map((text) => made("p", {}, text)));
    return made("tr", { class: "detail" }, cell);
  };
  const sortKey = (cell) => (cell.length > 3 && cell[3] !== null ? cell[3] : null);
  const compared = (column, up, words) => (a, b) => {
    const [one, other] = [a.cells[column] || [""], b.cells[column] || [""]];
    if (words) return up * one[0].localeCompare(other[0], "en", { numeric: true });
    const [x, y] = [sortKey(one), sortKey(other)];
    if (x === null && y === null) return up * one[0].localeCompare(other[0], "en", { numeric: true });
    if (x === null) return 1;
    return y === null ? -1 : up * (x - y);
  };
  const begin = (table, grid) => {
    const tools = $(`[data-tools="${table.id}"]`);
    const further = $(`[data-further="${table.id}"]`);
    const body = $("tbody", table);
    const followers = [];
    const state = { find: "", roles: null, sort: null, limit: data.batch, hidden: new Set() };
    const chosen = () => {
      const words = state.find.toLowerCase().split(/\s+/).filter(Boolean);
      const found = grid.rows.filter((row) => {
        const text = row.cells.map((cell) => cell[0]).slice(0, 2).join(" ").toLowerCase();
        return words.every((word) => text.includes(word)) && (!state.roles || state.roles.has(row.role));
      });
      if (state.sort) {
        const { column, up } = state.sort;
        const words = grid.words.includes(column);
        found.sort(compared(column, up, words));
      }
      return found;
    };
    const hide = () => {
      for (const row of table.rows) {
        if (row.classList.contains("detail") || row.closest("tr.detail")) continue;
        [...row.cells].forEach((cell, at) => { cell.hidden = state.hidden.has(at); });
      }
    };
    const show = () => {
      const found = chosen();
      all("thead th", table).forEach((head, at) => {
        const told = state.sort && state.sort.up === 1 ? "ascending" : "descending";
        head.setAttribute("aria-sort", state.sort && state.sort.column === at ? told : "none");
      });
      body.replaceChildren(...found.slice(0, state.limit).map((row) => rowOf(row, grid)));
      further.hidden = found.length <= state.limit;
      $(".count", tools).textContent =
        found.length === grid.rows.length ? "" : `${found.length} of ${grid.rows.length} rows`;
      hide();
      followers.forEach((told) => told());
    };
    const byId = new Map(grid.rows.map((row) => [row.id, row]));
    $(".find", tools).addEventListener("input", (event) => {
      state.find = event.target.value;
      state.limit = data.batch;
      show();
    });
    all(".roles input", tools).forEach((box) =>
      box.addEventListener("change", () => {
        state.roles = new Set(all(".roles input:checked", tools).map((each) => each.value));
        show();
      }),
    );
    all(".columns input", tools).forEach((box) =>
      box.addEventListener("change", () => {
        state.hidden[box.checked ? "delete" : "add"](Number(box.value));
        hide();
      }),
    );
    all(".sort", table).forEach((button) =>
      button.addEventListener("click", () => {
        const column = Number(button.dataset.column);
        const same = state.sort && state.sort.column === column;
        const first = grid.words.includes(column) ? 1 : -1;
        state.sort = { column, up: same ? -state.sort.up : first };
        show();
      }),
    );
    all(".copy", tools).forEach((button) =>
      button.addEventListener("click", () => copy(grid.copies[button.dataset.copy], button)),
    );
    further.addEventListener("click", () => {
      state.limit += data.batch;
      show();
    });
    body.addEventListener("click", (event) => {
      const button = event.target.closest(".more");
      if (!button) return;
      const row = button.closest("tr");
      const open = button.getAttribute("aria-expanded") === "true";
      button.setAttribute("aria-expanded", String(!open));
      if (open) row.nextElementSibling.remove();
      else row.after(detailOf(byId.get(row.id), grid));
    });
    return {
      shows: (id) => {
        if (!byId.has(id)) return false;
        state.limit = grid.rows.length;
        show();
        return true;
      },
      rows: chosen,
      follow: (told) => followers.push(told),
      sorted: () => state.sort,
      sort: (sort) => { if (sort) { state.sort = sort; show(); } },
    };
  };
  const dialog = $("#dialog");
  const enlarge = (...inside) => {
    $("div", dialog).replaceChildren(...inside);
    dialog.showModal();
  };
  const copy = async (text, button) => {
    try {
      await navigator.clipboard.writeText(text);
      const before = button.textContent;
      button.textContent = "copied";
      setTimeout(() => { button.textContent = before; }, 1200);
    } catch {
      const area = made("textarea", { readonly: "", "aria-label": "the table" });
      area.value = text;
      enlarge(area);
      area.select();
    }
  };

  // Charts: the library is unpacked when the first of them comes into sight.
  let waiting = null;
  const library = () => {
    waiting ??= (async () => {
      const bytes = Uint8Array.from(atob($("#library").textContent), (c) => c.charCodeAt(0));
      const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
      const code = made("script");
      code.textContent = await new Response(stream).text();
      document.head.append(code);
      return globalThis.Plotly;
    })();
    return waiting;
  };
  const COLOURS = ["#2f6fb5", "#d1602b", "#2c8c4b", "#b03a6f", "#7a5bb8", "#8a6d1f", "#1f8f95", "#c0392b", "#5d6d7e", "#6b8e23"];
  const SIGNS = { ceiling: "triangle-up", floor: "triangle-down", baseline: "square", published: "diamond-open", model: "circle" };
  const PAPER = () => ({
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: dark() ? "#e8eaed" : "#1a1c1f", size: 12 },
    margin: { l: 56, r: 12, t: 12, b: 48 }, hovermode: "closest",
    legend: { orientation: "h", yanchor: "top", y: -0.16, font: { size: 11 } },
  });
  const axis = (title, percent) => ({
    title: { text: plain(title), standoff: 6 }, gridcolor: dark() ? "#3a3f45" : "#e3e6ea", zeroline: false, automargin: true,
    ...(percent ? { tickformat: ".0%" } : {}),
  });
  // The library takes some tags in texts for its own: there are none left.
  const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const options = { displaylogo: false, responsive: true, modeBarButtonsToRemove: ["sendDataToCloud", "lasso2d", "select2d"] };
  const spans = (cells) => ({
    type: "data", symmetric: false, thickness: 1, width: 0,
    array: cells.map((c) => (c.length > 5 ? c[5] - c[3] : 0)),
    arrayminus: cells.map((c) => (c.length > 5 ? c[3] - c[4] : 0)),
  });
  const band = (line, colour) => [
    { x: [...line.x, ...[...line.x].reverse()], y: [...line.high, ...[...line.low].reverse()],
      mode: "lines", fill: "toself", fillcolor: colour + "33", line: { width: 0 }, hoverinfo: "skip", showlegend: false, legendgroup: line.name },
    { x: line.x, y: line.y, name: plain(line.name), legendgroup: line.name, mode: line.x.length > 30 ? "lines" : "lines+markers",
      line: { color: colour, width: 1.6 }, marker: { size: 4 } },
  ];
  const CROWD = 8;
  const MOST = { scatter: 400, radii: 400, curves: 40 };
  const lines = (many) =>
    many.flatMap((line, at) => band(line, COLOURS[at % COLOURS.length]).slice(many.length > CROWD ? 1 : 0));
  const DRAWN = {
    scatter: (block, [x, y], rows) => {
      const grid = block.grid;
      const full = rows.filter((row) => [x, y].every((at) => (row.cells[at] || []).length > 3));
      const traces = Object.keys(SIGNS).flatMap((role) => {
        const mine = full.filter((row) => row.role === role);
        if (!mine.length) return [];
        const [across, up] = [x, y].map((at) => mine.map((row) => row.cells[at]));
        return [{
          name: role, mode: full.length <= 24 ? "markers+text" : "markers", type: "scatter",
          x: across.map((c) => c[3]), y: up.map((c) => c[3]), error_x: spans(across), error_y: spans(up),
          text: mine.map((row) => plain(row.cells[0][0])), textposition: "top center", textfont: { size: 10 },
          hovertemplate: "%{text}<br>%{x:.4g}, %{y:.4g}<extra></extra>",
          marker: { symbol: SIGNS[role], size: 9 },
        }];
      });
      return [traces, { ...PAPER(), xaxis: axis(grid.heads[x], grid.percent[x]), yaxis: axis(grid.heads[y], grid.percent[y]) }];
    },
    radii: (block, [at], rows) => {
      const grid = block.grid;
      const found = new Map();
      for (const row of rows) {
        const [radius, cell] = [row.cells[1], row.cells[at] || []];
        if (radius.length < 4 || cell.length < 4) continue;
        const name = row.cells[0][0];
        if (!found.has(name)) found.set(name, { name, x: [], y: [], low: [], high: [] });
        const line = found.get(name);
        line.x.push(radius[3]);
        line.y.push(cell[3]);
        line.low.push(cell.length > 5 ? cell[4] : cell[3]);
        line.high.push(cell.length > 5 ? cell[5] : cell[3]);
      }
      return [lines([...found.values()]), { ...PAPER(), xaxis: axis(block.strength), yaxis: axis(grid.heads[at], grid.percent[at]) }];
    },
    curves: (block, [at], rows) => {
      const metric = block.curves.metrics[at];
      const names = new Set(rows.map((row) => row.cells[0][0].replace(/ \[\d+\]$/, "")));
      const up = axis(metric.title, metric.percent);
      if (metric.top !== null) up.range = [0, 1.03 * metric.top];
      return [lines(metric.lines.filter((line) => names.has(line.name))), { ...PAPER(), xaxis: axis("steps"), yaxis: up }];
    },
  };
  const choices = (kind, block) =>
    kind === "curves"
      ? block.curves.metrics.map((metric, at) => [at, metric.title])
      : block.grid.numbers.map((at) => [at, block.grid.heads[at]]);
  const FIRST = {
    scatter: (block, at) => block.grid.axes[at],
    radii: (block) => block.grid.first,
    curves: () => 0,
  };
  const drawings = [];
  const chart = (figure, block, table) => {
    const kind = figure.dataset.chart;
    const chosen = all("select", figure);
    chosen.forEach((select, at) => {
      select.append(...choices(kind, block).map(([value, text]) => made("option", { value }, text)));
      select.value = String(FIRST[kind](block, at));
      select.addEventListener("change", () => draw());
    });
    const draw = async () => {
      const plot = $(".plot", figure);
      try {
        const Plotly = await library();
        const rows = table.rows();
        const drawn = rows.slice(0, MOST[kind]);
        const [traces, layout] = DRAWN[kind](block, chosen.map((select) => Number(select.value)), drawn);
        await Plotly.react(plot, traces, layout, options);
        const told = `the first ${drawn.length} of ${rows.length} rows: sort or find others`;
        $(".few", figure).textContent = drawn.length < rows.length ? told : "";
        figure.dataset.drawn = "yes";
      } catch (error) {
        plot.textContent = "This browser can't draw the chart; the table has its numbers.";
        figure.dataset.drawn = "no";
      }
    };
    drawings.push({ figure, draw });
    table.follow(() => { if (figure.dataset.drawn) draw(); });
  };

  // Samples
  const painted = (points, modes, field, wide) => {
    const side = 400;
    const canvas = made("canvas", { width: side, height: side, role: "img" });
    const pen = canvas.getContext("2d");
    const at = (value) => (value / 1000) * side;
    pen.fillStyle = "#fff";
    pen.fillRect(0, 0, side, side);
    const ink = () => {
      pen.fillStyle = field ? "rgba(17,17,17,.6)" : "rgba(193,39,45,.5)";
      for (let i = 0; i < points.length; i += 2) pen.fillRect(at(points[i]) - 1.5, side - at(points[i + 1]) - 1.5, 3, 3);
      pen.strokeStyle = "#1f4e79";
      for (const [x, y, radius] of modes) {
        pen.beginPath();
        pen.arc(at(x), side - at(y), Math.max(at(radius), 2), 0, 7);
        pen.stroke();
      }
      canvas.dataset.inked = field ? "field" : "points";
    };
    if (!field) ink();
    else {
      const behind = new Image();
      behind.addEventListener("load", () => {
        const edge = (side * (1 - wide)) / 2;
        pen.drawImage(behind, edge, edge, side * wide, side * wide);
        ink();
      });
      behind.src = field;
    }
    return canvas;
  };
  const VIEWS = {
    samples: "samples",
    way: "the same noise in training (first seeds)",
    beside: "samples, each left of the training image most like it (first seeds)",
  };
  const sheet = (section, block) => {
    const within = $(".sheets", section);
    const [view, grid, play] = ["select", ".grid", ".play"].map((query) => $(query, within));
    const [seed, look] = [".seed:not(.views):not(.looks)", ".looks"].map((query) => $(query, within));
    const [input, at] = [seed, look].map((label) => $("input", label));
    const rows = block.sheets.rows;
    const offered = Object.keys(VIEWS).filter((name) => name === "samples" || rows.some((row) => row.seeds[0][name]));
    view.append(...offered.map((name) => made("option", { value: name }, VIEWS[name])));
    $(".views", within).hidden = offered.length === 1;
    const looks = Math.max(...rows.map((row) => (row.seeds[0].way || []).length));
    at.max = String(Math.max(looks - 1, 0));
    at.value = at.max;
    const shown = (row) => {
      if (view.value === "samples") return row.seeds.find((one) => one.seed === block.sheets.seeds[Number(input.value)]) || row.seeds[0];
      const first = row.seeds[0];
      if (view.value === "beside") return first.beside && { seed: first.seed, image: first.beside, told: ", each left of a training image" };
      if (!first.way) return null;
      const frame = first.way[Math.round((Number(at.value) * (first.way.length - 1)) / Math.max(looks - 1, 1))];
      const behind = frame.field ? ", red what the critic takes for real, blue for fake" : "";
      return { ...frame, seed: first.seed, told: `, step ${frame.step}${behind}` };
    };
    const show = () => {
      seed.hidden = view.value !== "samples" || input.max === "0";
      look.hidden = play.hidden = view.value !== "way";
      grid.classList.toggle("wide", view.value === "beside");
      grid.replaceChildren(
        ...rows.flatMap((row) => {
          const one = shown(row);
          if (!one) return [];
          const label = `${row.name}, seed ${one.seed}${one.told || ""}`;
          const picture = () =>
            one.points ? painted(one.points, block.sheets.modes, one.field, one.wide) : made("img", { src: one.image, alt: "" });
          const drawn = picture();
          drawn.setAttribute(one.points ? "aria-label" : "alt", `samples of ${label}`);
          const button = made("button", { class: "zoom", type: "button" }, drawn);
          button.addEventListener("click", () => enlarge(picture(), made("p", {}, label)));
          return [made("figure", {}, button, made("figcaption", {}, label))];
        }),
      );
      $("output", seed).textContent = String(block.sheets.seeds[Number(input.value)]);
      $("output", look).textContent = `${Number(at.value) + 1} of ${looks}`;
    };
    let timer = 0;
    const stop = () => {
      clearInterval(timer);
      timer = 0;
      play.textContent = "▶";
    };
    play.addEventListener("click", () => {
      if (timer) return stop();
      play.textContent = "❚❚";
      timer = setInterval(() => {
        at.value = String((Number(at.value) + 1) % looks);
        show();
      }, 500);
    });
    view.addEventListener("change", () => { stop(); show(); });
    [input, at].forEach((one) => one.addEventListener("input", show));
    show();
  };

  const grids = [];
  all("[data-block]").forEach((section) => {
    const block = data.blocks[Number(section.dataset.block)];
    const table = begin($("table", section), block.grid);
    grids.push(table);
    all(".chart", section).forEach((figure) => chart(figure, block, table));
    if (block.sheets) sheet(section, block);
  });
  all("[data-section]").forEach((section) => {
    grids.push(begin($("table", section), data.sections[Number(section.dataset.section)].grid));
  });
  all(".drawn .zoom").forEach((button) =>
    button.addEventListener("click", () => enlarge($("img", button).cloneNode())),
  );
  const seen = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      seen.unobserve(target);
      drawings.find(({ figure }) => figure === target).draw();
    }
  }, { rootMargin: "300px" });
  drawings.forEach(({ figure }) => seen.observe(figure));
  $("#theme").addEventListener("click", () => {
    document.documentElement.dataset.theme = dark() ? "light" : "dark";
    drawings.filter(({ figure }) => figure.dataset.drawn).forEach(({ draw }) => draw());
  });
  // A live page asks for news of itself, and comes again where there are any, as it was left.
  const KEPT = "bench-report";
  const remember = () => {
    const values = all("input, select").map((one) => (one.type === "checkbox" ? one.checked : one.value));
    const sorts = grids.map((grid) => grid.sorted());
    const theme = document.documentElement.dataset.theme;
    sessionStorage.setItem(KEPT, JSON.stringify({ values, sorts, theme, top: scrollY }));
  };
  const recall = () => {
    const kept = JSON.parse(sessionStorage.getItem(KEPT) || "null");
    sessionStorage.removeItem(KEPT);
    if (!kept) return;
    if (kept.theme) document.documentElement.dataset.theme = kept.theme;
    const controls = all("input, select");
    if (controls.length === kept.values.length) {
      controls.forEach((one, at) => {
        const [key, told] = one.type === "checkbox" ? ["checked", "change"] : ["value", one.tagName === "SELECT" ? "change" : "input"];
        if (one[key] === kept.values[at]) return;
        one[key] = kept.values[at];
        one.dispatchEvent(new Event(told));
      });
      grids.forEach((grid, at) => grid.sort(kept.sorts[at]));
    }
    scrollTo(0, kept.top);
  };
  const going = () => {
    const now = Date.now() / 1000;
    $("#underway .grid").replaceChildren(
      ...data.underway.map((one) => {
        const figure = made("figure", {});
        if (one.points || one.image) {
          const shown = one.points ? painted(one.points, one.modes) : made("img", { src: one.image, alt: "" });
          shown.setAttribute(one.points ? "aria-label" : "alt", `what ${one.name} draws now`);
          figure.append(shown);
        }
        if (one.steps) figure.append(made("progress", { max: one.steps, value: one.step, "aria-label": one.name }));
        const seconds = Math.max(0, Math.round(now - one.started));
        const steps = one.steps ? `, step ${one.step} of ${one.steps}` : "";
        const told = one.gone ? ": its process is gone" : `: ${seconds} s${steps}`;
        figure.append(made("figcaption", {}, one.name + told));
        return figure;
      }),
    );
    if (!data.underway.length) $("#underway .grid").textContent = "Nothing is being measured.";
  };
  const follow = () => {
    going();
    setInterval(async () => {
      try {
        const answer = await fetch("/state", { cache: "no-store" });
        const state = await answer.text();
        $(".gone").hidden = answer.ok;
        if (!answer.ok || state === data.live || dialog.open) return;
        remember();
        location.reload();
      } catch {
        $(".gone").hidden = false;
      }
    }, 1000);
  };
  if (data.live) {
    recall();
    follow();
  }
  const arrive = () => {
    const id = decodeURIComponent(location.hash.slice(1));
    if (id && !document.getElementById(id) && grids.some((grid) => grid.shows(id))) {
      document.getElementById(id).scrollIntoView();
    }
  };
  addEventListener("hashchange", arrive);
  addEventListener("beforeprint", () => {
    all("details").forEach((each) => { if (!each.classList.contains("columns")) each.open = true; });
  });
  arrive();
  document.documentElement.dataset.ready = "yes";
})();
