// Rows every two seconds by /v1/jobs; all the rest, and rows that come or go, by this page itself. Nothing is made of
// markup that came over the wire but what this page holds anyway, and a DOMParser runs no script.
"use strict";
(() => {
  const group = n => n.toString().replace(/\B(?=(\d{3})+$)/g, ",");
  const span = s => s < 60 ? `${Math.floor(s)}s` : s < 3600 ? `${Math.floor(s / 60)}m${String(Math.floor(s % 60)).padStart(2, "0")}s`
    : s < 86400 ? `${Math.floor(s / 3600)}h${String(Math.floor(s / 60 % 60)).padStart(2, "0")}m`
    : `${Math.floor(s / 86400)}d${String(Math.floor(s / 3600 % 24)).padStart(2, "0")}h`;
  const stale = document.getElementById("stale");
  let heard = Date.now(), busy = false, turn = 0;
  const get = async url => {
    const answer = await fetch(url, {cache: "no-store", signal: AbortSignal.timeout(8000)});
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    return answer;
  };
  const whole = async () => {
    const fresh = new DOMParser().parseFromString(await (await get("./")).text(), "text/html");
    for (const id of ["about", "now", "open", "finished"]) {
      const old = document.getElementById(id), next = fresh.getElementById(id);
      if (!old || !next) continue;
      const unfolded = old.querySelector("details")?.open;
      old.replaceWith(document.adoptNode(next));
      if (unfolded) next.querySelector("details")?.setAttribute("open", "");
    }
  };
  const put = (row, name, text, zero) => {
    const cell = row.querySelector(`[data-f=${name}]`);
    if (!cell || cell.textContent === text) return;
    cell.textContent = text;
    cell.classList.toggle("zero", zero === true);
  };
  const rows = async () => {
    if (document.getElementById("more")) return true;  // too many to be asked for row by row
    const {jobs} = await (await get("v1/jobs?state=open")).json();
    const shown = new Map();
    for (const row of document.querySelectorAll("#open tr[data-job]")) shown.set(row.dataset.job, row);
    const open = jobs.filter(j => j.state !== "finished" && j.job_id !== null);
    if (open.length !== shown.size || open.some(j => shown.get(j.job_id)?.dataset.state !== j.state)) return true;
    for (const j of open) {
      const row = shown.get(j.job_id), t = j.totals, done = t.deleted + t.absent + t.failed + t.skipped;
      const bar = row.querySelector("progress");
      if (bar.value !== done) bar.value = done;
      put(row, "part", `${(100 * done / Math.max(t.ids, 1)).toFixed(1)}%`);
      put(row, "done", `${group(done)} / ${group(t.ids)}`);
      for (const f of ["deleted", "absent", "failed", "skipped"]) put(row, f, group(t[f]), t[f] === 0);
      put(row, "rate", j.rate > 0 ? `${j.rate.toFixed(1)}/s` : "-", !(j.rate > 0));
      put(row, "eta", j.eta_seconds === null ? "-" : span(j.eta_seconds), j.eta_seconds === null);
    }
    return false;
  };
  const look = async () => {
    if (busy || document.hidden) return;
    busy = true;
    try {
      if (await rows() || ++turn % 5 === 0) await whole();
      heard = Date.now();
      stale.classList.remove("on");
    } catch (e) {
      stale.textContent = `No answer from culld for ${span((Date.now() - heard) / 1000)}; what is shown is as old.`;
      stale.classList.add("on");
    }
    busy = false;
  };
  setInterval(look, 2000);
  document.addEventListener("visibilitychange", look);
})();
