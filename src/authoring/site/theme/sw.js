// The practice and its bank are kept from the first visit on, any page from its own first visit on.
const NAME = `walkforward-${"{VERSION}"}`, FIRST = "{FIRST}";

addEventListener("install", (event) => event.waitUntil(
  caches.open(NAME).then((cache) => cache.addAll(FIRST)).then(() => skipWaiting())));

const old = (name) => name.startsWith("walkforward-") && name !== NAME;
addEventListener("activate", (event) => event.waitUntil(
  caches.keys().then((names) => Promise.all(names.filter(old).map((one) => caches.delete(one)))).then(() => clients.claim())));

addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET" || !request.url.startsWith(registration.scope)) return;
  event.respondWith(caches.open(NAME).then(async (cache) => {
    const held = await cache.match(request, { ignoreSearch: true });
    if (held) return held;
    const answer = await fetch(request);
    if (answer.status === 200) cache.put(request.url.split("?")[0], answer.clone());
    return answer;
  }));
});
