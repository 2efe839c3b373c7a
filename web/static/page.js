// What a workspace's page can do beyond showing: copy, keep its state up to date, follow a log.
// Nothing of the page needs it.
(() => {
  const now = document.getElementById("now");
  const words = now ? now.dataset : {};

  // A button beside what people copy.
  const offerCopy = (root) => {
    if (!navigator.clipboard) return;
    for (const what of root.querySelectorAll("#workspace-url, pre.line")) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "plain copy-button";
      button.textContent = words.copy;
      button.addEventListener("click", async () => {
        await navigator.clipboard.writeText(what.textContent);
        button.textContent = words.copied;
        setTimeout(() => { button.textContent = words.copy; }, 2000);
      });
      what.after(button);
    }
  };
  offerCopy(document);

  const lost = document.getElementById("connection-lost");
  const get = async (path) => {
    const answer = await fetch(path, { cache: "no-store" });
    lost.hidden = true;
    return answer;
  };
  const read = async (answer) => new DOMParser().parseFromString(await answer.text(), "text/html");
  const put = (part, place) => {
    offerCopy(part);
    sayTimes(part);
    if (part.innerHTML !== place.innerHTML) place.replaceChildren(...part.childNodes);
  };
  // Not under somebody's hands.
  const isInUse = (place) => place.contains(document.activeElement) || (String(getSelection()) && place.contains(getSelection().anchorNode));

  // What else the page tells follows when a job begins or ends.
  const refreshRest = async () => {
    const rest = ["rest", "history"].map((id) => document.getElementById(id)).filter((place) => place);
    if (!rest.length || rest.some(isInUse)) return false;
    const answer = await get(location.href);
    if (!answer.ok) return false;
    const fresh = await read(answer);
    for (const place of rest) {
      const part = fresh.getElementById(place.id);
      if (part) put(part, place);
    }
    return true;
  };

  // The state is asked for again while the page is looked at.
  const refresh = async () => {
    if (document.hidden) return;
    const answer = await get(now.dataset.refresh);
    if (answer.redirected || answer.status === 404) {
      location.reload();
      return;
    }
    if (!answer.ok) return;
    const part = (await read(answer)).getElementById("now");
    if (!part) return;
    const state = (root) => root.querySelector("#workspace-state")?.dataset.state;
    if (state(part) !== state(now)) {
      location.reload();
      return;
    }
    const mark = part.dataset.mark;
    if (mark !== now.dataset.mark && (await refreshRest())) now.dataset.mark = mark;
    if (!isInUse(now)) put(part, now);
  };
  if (now?.dataset.refresh) setInterval(() => { refresh().catch(() => { lost.hidden = false; }); }, 5000);

  // What tests print is followed to its end, unless somebody reads further up.
  const main = document.querySelector("main");
  if (document.getElementById("end")) {
    const follow = () => {
      const printed = [...document.querySelectorAll(".printed")].pop();
      if (printed && printed.scrollHeight - printed.scrollTop - printed.clientHeight < 400) printed.scrollTop = printed.scrollHeight;
    };
    new MutationObserver(follow).observe(main, { childList: true, subtree: true, characterData: true });
  }

  // One box chooses all rows of a page.
  const table = document.querySelector("table[data-choose-all]");
  if (table) {
    const boxes = [...table.querySelectorAll("tbody input[type=checkbox]")];
    const all = document.createElement("input");
    all.type = "checkbox";
    all.setAttribute("aria-label", table.dataset.chooseAll);
    all.addEventListener("change", () => { for (const box of boxes) box.checked = all.checked; });
    table.querySelector("thead th").append(all);
  }

  const logs = document.getElementById("logs");
  const log = document.getElementById("log");
  if (!logs || !log) return;
  const LINES = 5000;
  const status = document.getElementById("log-status");
  const tools = document.getElementById("log-tools");
  let source = null, after = logs.dataset.after, paused = false, held = [], wanted = "", matched = 0;

  const search = document.createElement("input");
  search.type = "search";
  search.placeholder = logs.dataset.search;
  search.setAttribute("aria-label", logs.dataset.search);
  const pause = document.createElement("button");
  pause.type = "button";
  pause.className = "plain small-button";
  pause.textContent = logs.dataset.pause;
  pause.setAttribute("aria-pressed", "false");
  tools.append(search, pause);

  const count = () => {
    status.textContent = wanted ? logs.dataset.matches.replace("{n}", matched).replace("{m}", log.children.length) : "";
  };
  const sift = (line) => {
    const found = !wanted || line.textContent.toLowerCase().includes(wanted);
    line.hidden = !found;
    if (wanted && found) matched += 1;
  };
  search.addEventListener("input", () => {
    wanted = search.value.toLowerCase();
    matched = 0;
    for (const line of log.children) sift(line);
    count();
  });

  const bottom = () => log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  const add = (lines) => {
    if (!lines.length) return;
    document.getElementById("log-empty")?.remove();
    const follows = bottom();
    for (const line of lines) sift(line);
    log.append(...lines);
    while (log.children.length > LINES) log.firstChild.remove();
    if (follows) log.scrollTop = log.scrollHeight;
    if (wanted) count();
  };
  // Many lines at once are put in together.
  let waiting = [], due = 0;
  const take = (one) => {
    if (paused) {
      held.push(one);
      if (held.length > LINES) held.shift();
      return;
    }
    waiting.push(one);
    if (!due) due = setTimeout(() => { due = 0; add(waiting.splice(0)); }, 60);
  };
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.textContent = paused ? logs.dataset.goOn : logs.dataset.pause;
    pause.setAttribute("aria-pressed", String(paused));
    if (!paused) add(held.splice(0));
  });

  const close = () => { source?.close(); source = null; };
  const listen = () => {
    close();
    source = new EventSource(`${logs.dataset.events}${after ? `?after=${after}` : ""}`);
    source.onopen = () => count();
    source.onerror = () => {
      status.textContent = logs.dataset.lost;
      // The browser resumes a broken stream, but gives up on a refused one.
      if (source?.readyState === EventSource.CLOSED) setTimeout(() => { if (!document.hidden) listen(); }, 5000);
    };
    source.addEventListener("line", (event) => {
      after = event.lastEventId;
      take(lineOf(JSON.parse(event.data).pieces));
    });
    source.addEventListener("gap", () => take(lineOf([{ text: logs.dataset.gap, class: "dim" }])));
  };
  // A page that nobody looks at costs nothing.
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : listen()));
  log.scrollTop = log.scrollHeight;
  if (!document.hidden) listen();
})();
