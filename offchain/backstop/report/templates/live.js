// Replaces the page's sections as the mirror sends them, and reconnects when it was away.
"use strict";
(() => {
  const SILENT = 10000; // milliseconds; the mirror sends something every two seconds
  const AGAIN = 1000;
  const build = document.currentScript.dataset.build;
  const link = document.getElementById("link");
  let source, heard;

  // Write only changes, so that screen readers read it aloud only then.
  const tell = (text) => { if (link.textContent !== text) link.textContent = text; };

  const replace = (name, html) => {
    // Beside what is told of a chart, the chart itself stays: Charts draws in it.
    const section = document.getElementById(`${name}-told`) ?? document.getElementById(name);
    if (!section) return;
    // Keep each table's scroll position.
    const scrolled = [...section.querySelectorAll(".table")].map((table) => table.scrollLeft);
    Tables.replace(section, html);
    section.querySelectorAll(".table").forEach((table, i) => { table.scrollLeft = scrolled[i] ?? 0; });
  };

  const open = () => {
    source?.close();
    heard = Date.now();
    source = new EventSource("events");
    source.onmessage = (message) => {
      const news = JSON.parse(message.data);
      if (news.build !== build) { location.reload(); return; }
      heard = Date.now();
      tell("");
      Object.entries(news.sections).forEach(([name, html]) => replace(name, html));
      Charts.renew(news.charts);
      document.documentElement.dataset.events = 1 + Number(document.documentElement.dataset.events ?? 0);
    };
    source.onerror = () => lost();
  };

  const lost = () => {
    source.close();
    tell("The mirror does not answer: the page is out of date. Trying again.");
    setTimeout(open, AGAIN);
  };

  setInterval(() => { if (Date.now() - heard > SILENT && source.readyState !== EventSource.CLOSED) lost(); }, AGAIN);
  open();
})();
