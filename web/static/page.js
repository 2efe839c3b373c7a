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

  // The state is asked for again while the page is looked at.
  const refresh = async () => {
    if (document.hidden) return;
    const answer = await fetch(now.dataset.refresh, { cache: "no-store" });
    if (answer.redirected || answer.status === 404) {
      location.reload();
      return;
    }
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const part = fresh.getElementById("now");
    if (!part) return;
    const state = (root) => root.querySelector("#workspace-state")?.dataset.state;
    if (state(part) !== state(now)) {
      location.reload();
      return;
    }
    // Not under somebody's hands.
    if (now.contains(document.activeElement) || (String(getSelection()) && now.contains(getSelection().anchorNode))) return;
    offerCopy(part);
    if (part.innerHTML !== now.innerHTML) now.replaceChildren(...part.childNodes);
  };
  if (now) setInterval(() => { refresh().catch(() => {}); }, 5000);

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
    status.textContent = wanted ? logs.dataset.matches.replace("{n}", matched) : "";
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
  const put = (lines) => {
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
    if (!due) due = setTimeout(() => { due = 0; put(waiting.splice(0)); }, 60);
  };
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.textContent = paused ? logs.dataset.goOn : logs.dataset.pause;
    pause.setAttribute("aria-pressed", String(paused));
    if (!paused) put(held.splice(0));
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
