// Keep the practice for a train without a network.
navigator.serviceWorker?.register(new URL("../sw.js", document.currentScript.src)).catch(() => {});
