// Keeps a job's page up to date: small changes come as events, and when the job itself moves on,
// the page is fetched again and its parts are put in place of the old ones.
(() => {
  const live = document.getElementById("live");
  if (!live || !live.dataset.events) return;
  const status = document.getElementById("status");
  const lost = document.getElementById("connection-lost");
  let source, last = 0, jobState = live.dataset.state, settling, waiting = null;

  const refresh = async () => {
    const answer = await fetch(location.href, { cache: "no-store" });
    // The session has ended.
    if (answer.redirected) {
      location.reload();
      return false;
    }
    if (!answer.ok) throw new Error(answer.statusText);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const part = fresh.getElementById("live");
    document.title = fresh.title;
    say(document.getElementById("heading"), fresh.getElementById("heading").textContent);
    say(status, fresh.getElementById("status").textContent);
    // Notes are told by events only.
    for (const notes of live.querySelectorAll(".notes")) {
      part.querySelector(`#${notes.parentElement.id} .notes`)?.replaceChildren(...notes.childNodes);
    }
    sayTimes(part);
    live.replaceChildren(...part.childNodes);
    live.dataset.state = part.dataset.state;
    if (part.dataset.events) return true;
    delete live.dataset.events;
    return false;
  };

  // Only what has changed is put in: screen readers read out what is put in.
  const say = (where, text) => {
    if (where.textContent !== text) where.textContent = text;
  };

  // A resumed stream brings many events at once; screen readers need only the last.
  const settle = () => {
    clearTimeout(settling);
    settling = setTimeout(() => {
      if (jobState !== live.dataset.state) {
        refresh().catch(() => {});
        return;
      }
      if (waiting !== null) {
        say(status, waiting);
        return;
      }
      const now = document.querySelector('#steps [data-state="observed"], #steps [data-state="undoing"]');
      if (!now) return;
      const steps = [...document.querySelectorAll("#steps > li")];
      const values = {
        n: steps.indexOf(now) + 1,
        m: steps.length,
        label: now.querySelector(".label").textContent,
      };
      say(status, live.dataset.stepOf.replace(/\{(\w+)\}/g, (_, key) => values[key]));
    }, 150);
  };

  const on = (name, act) =>
    source.addEventListener(name, (event) => {
      if (event.lastEventId) last = Number(event.lastEventId);
      lost.hidden = true;
      act(JSON.parse(event.data));
      settle();
    });

  const listen = () => {
    source = new EventSource(`${live.dataset.events}?after=${last}`);
    source.onopen = () => { lost.hidden = true; };
    // The browser resumes a broken stream, but gives up on a refused one.
    source.onerror = () => {
      lost.hidden = false;
      if (source.readyState === EventSource.CLOSED) retry();
    };
    on("step", ({ index, state, text, took }) => {
      const step = document.getElementById(`step-${index}`);
      if (!step) return;
      step.dataset.state = state;
      step.querySelector(".state").textContent = text;
      if (took !== null) step.querySelector(".took").textContent = took;
    });
    on("note", ({ index, text }) => {
      const notes = document.querySelector(`#step-${index} .notes`);
      if (!notes || [...notes.children].some((note) => note.textContent === text)) return;
      const note = document.createElement("p");
      note.textContent = text;
      notes.append(note);
    });
    on("output", ({ lines }) => {
      const printed = document.getElementById("printed");
      const log = document.getElementById("printed-lines");
      if (!log) return;
      const follows = printed.hidden || log.scrollHeight - log.scrollTop - log.clientHeight < 40;
      printed.hidden = false;
      log.append(...lines.map(lineOf));
      while (log.children.length > 2000) log.firstChild.remove();
      if (follows) log.scrollTop = log.scrollHeight;
    });
    on("waiting", ({ text }) => { waiting = text; });
    on("job", ({ state }) => { jobState = state; });
    on("end", finish);
  };

  const finish = () => {
    source.close();
    // The stream also ends when it has been open for long; then the job goes on.
    refresh().then((goesOn) => { if (goesOn) listen(); }, retry);
  };

  const retry = () => {
    source.close();
    setTimeout(() => {
      if (document.hidden) return;
      refresh().then((goesOn) => {
        lost.hidden = true;
        if (goesOn) listen();
      }, () => {
        lost.hidden = false;
        retry();
      });
    }, 3000);
  };

  // A page that nobody looks at costs nothing.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      source.close();
    } else {
      refresh().then((goesOn) => { source.close(); if (goesOn) listen(); }, retry);
    }
  });
  listen();
})();
