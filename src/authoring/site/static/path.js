// A lesson opened on a path says so: which sitting of it this is, and which come before and after.

(() => {
  const name = new URLSearchParams(location.search).get("path");
  const article = document.querySelector("article.bd-article");
  if (!name || !article || !location.pathname.includes("/notebooks/")) return;
  const list = new URL(`../paths/${name.replace(/\W/g, "")}.html`, location.href);
  fetch(list).then((answer) => (answer.ok ? answer.text() : Promise.reject(answer.status))).then((text) => {
    const page = new DOMParser().parseFromString(text, "text/html");
    const links = [...page.querySelectorAll(".wf-path a")], title = page.querySelector("h1").firstChild.textContent;
    const mine = location.pathname.split("/").pop();
    const places = links.flatMap((one, at) => (one.getAttribute("href").includes(`/${mine}?`) ? [at] : []));
    if (!places.length) return;
    const bar = document.createElement("nav"), [first, last] = [places[0], places.at(-1)];
    bar.className = "wf-next";
    bar.setAttribute("aria-label", "Path");
    const link = (at, word) => {
      if (!links[at]) return "";
      const one = document.createElement("a");
      one.href = new URL(links[at].getAttribute("href"), list);
      one.textContent = `${word}: ${links[at].textContent}`;
      return one;
    };
    const home = document.createElement("a");
    home.href = list;
    home.textContent = title;
    const line = document.createElement("p");
    line.className = "wf-row";
    line.append(home, `sitting ${first + 1} of ${links.length}`, link(first - 1, "Before"), link(last + 1, "Next"));
    bar.append(line);
    article.prepend(bar);
    article.append(bar.cloneNode(true));
  }).catch(() => {});
})();
