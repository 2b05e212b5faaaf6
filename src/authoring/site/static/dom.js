// What the site's programs share: elements, clocks, and words for a time to come.

/** h("p", {class: "x", onclick: f}, child, …); `html` takes the bank's own HTML, which was escaped when it was made. */
export function h(tag, given = {}, ...children) {
  const one = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (name === "html") one.innerHTML = value;
    else if (name === "value") one.value = value;
    else if (name.startsWith("on")) one.addEventListener(name.slice(2), value);
    else if (value === true) one.setAttribute(name, "");
    else if (value !== false && value != null) one.setAttribute(name, value);
  }
  one.append(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return one;
}

export const button = (text, onclick, given = {}) => h("button", { type: "button", onclick, ...given }, text);
export const main = (text, onclick, given = {}) => button(text, onclick, { class: "wf-main", ...given });
export const row = (...children) => h("p", { class: "wf-row" }, ...children);
export const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

export function when(due, now) {
  const minutes = (due - now) / 60_000;
  if (minutes < 60) return `in ${Math.max(1, Math.round(minutes))} minutes`;
  const hours = Math.round(minutes / 60);
  if (hours < 24) return hours === 1 ? "in an hour" : `in ${hours} hours`;
  const days = Math.round(minutes / 1440);
  return days === 1 ? "tomorrow" : `in ${days} days`;
}

/** A clock of seconds that stops with the element that shows it. */
export function ticking(element, told, each = 500) {
  const from = performance.now(), spent = () => (performance.now() - from) / 1000;
  const show = () => { element.textContent = told(spent()); };
  show();
  const timer = setInterval(() => (element.isConnected ? show() : clearInterval(timer)), each);
  return spent;
}
