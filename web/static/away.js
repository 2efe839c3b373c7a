"use strict";
// Goes on to the app as soon as something else than the front answers. Nobody waits in a hidden tab.
const look = async () => {
  if (!document.hidden) {
    try {
      const answer = await fetch(location.href, { cache: "no-store", headers: { Accept: "text/plain" }, redirect: "manual" });
      if (answer.status === 404 || !answer.headers.has("X-Cid-Away")) {
        location.replace(location.href);
        return;
      }
    } catch {
      // The server itself is being restarted.
    }
  }
  setTimeout(look, 2000);
};
setTimeout(look, 2000);
