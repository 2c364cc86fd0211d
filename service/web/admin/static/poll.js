/* Asking again and again, but only while somebody looks. */

/** Calls `ask` now and then every `everyS` seconds after it has ended. Hidden pages and `pause()` stop it. */
export function poll(ask, everyS) {
  let timer = null;
  let isStopped = false;
  let isPaused = false;
  let running = null;

  const next = () => {
    clearTimeout(timer);
    if (!isStopped && !isPaused && !document.hidden) timer = setTimeout(now, everyS * 1000);
  };
  const now = () => {
    clearTimeout(timer);
    running ??= Promise.resolve(ask()).finally(() => {
      running = null;
      next();
    });
    return running;
  };
  const seen = () => {
    if (isStopped || isPaused) return;
    if (document.hidden) clearTimeout(timer);
    else now();
  };
  document.addEventListener("visibilitychange", seen);
  now();
  return {
    now,
    pause(value) {
      isPaused = value;
      if (value) clearTimeout(timer);
      else now();
    },
    stop() {
      isStopped = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", seen);
    },
  };
}

/** Every second, `draw(nowS)`, until the function returned is called. For ages and remaining times. */
export function everySecond(draw) {
  const timer = setInterval(() => document.hidden || draw(Date.now() / 1000), 1000);
  return () => clearInterval(timer);
}
