// Says times in the reader's zone; without it they are in UTC.
"use strict";
function sayTimes(root) {
  const lang = document.documentElement.lang;
  const minute = new Intl.DateTimeFormat(lang, { dateStyle: "medium", timeStyle: "short" });
  const day = new Intl.DateTimeFormat(lang, { dateStyle: "medium" });
  const recent = new Intl.RelativeTimeFormat(lang, { numeric: "auto" });
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    const whole = minute.format(at);
    const age = Math.round((Date.now() - at.getTime()) / 60000);
    time.title = whole;
    if (time.classList.contains("day")) time.textContent = day.format(at);
    else time.textContent = age >= 0 && age < 60 ? recent.format(-age, "minute") : whole;
  }
}
sayTimes(document);
