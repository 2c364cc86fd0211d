/* Icons of one stroke on a grid of 24, drawn here for this page. They take the colour of the text. */

import { svg } from "./dom.js";

const PATHS = {
  overview: ["M4 13a8 8 0 1 1 16 0", "M12 13l4-4", "M4 18h16"],
  accounts: ["M4 7h16v10H4z", "M8 11h4", "M8 14h2", "M16 11v3"],
  keys: ["M8 11a4 4 0 1 0 0 2", "M8 12h13", "M17 12v4", "M20.5 12v3"],
  usage: ["M5 20V10", "M12 20V4", "M19 20v-7", "M3 20h18"],
  models: ["M12 3l8 4.5v9L12 21l-8-4.5v-9z", "M4 7.5l8 4.5 8-4.5", "M12 12v9"],
  playground: ["M5 5h14v11H9l-4 4z", "M9 9l2 1.5L9 12", "M13 12h2"],
  live: ["M3 12h4l2.5-7 4 14 2.5-7h5"],
  audit: ["M7 3h7l4 4v14H7z", "M14 3v4h4", "M10 12h5", "M10 16h5"],
  more: ["M5 12h.01", "M12 12h.01", "M19 12h.01"],
  plus: ["M12 5v14", "M5 12h14"],
  refresh: ["M20 11a8 8 0 1 0-2.3 6.3", "M20 5v6h-6"],
  pause: ["M9 5v14", "M15 5v14"],
  play: ["M8 5l11 7-11 7z"],
  test: ["M4 12l5 5L20 6"],
  edit: ["M4 20l1-4L16 5l3 3L8 19z", "M14 7l3 3"],
  power: ["M12 4v8", "M7 7a7 7 0 1 0 10 0"],
  reset: ["M4 11a8 8 0 1 1 2.3 6.3", "M4 5v6h6"],
  trash: ["M5 7h14", "M9 7V4h6v3", "M7 7l1 13h8l1-13"],
  close: ["M6 6l12 12", "M18 6L6 18"],
  stop: ["M7 7h10v10H7z"],
  copy: ["M9 9h11v11H9z", "M15 9V4H4v11h5"],
  download: ["M12 4v11", "M7 11l5 5 5-5", "M5 20h14"],
  send: ["M4 12l16-8-5 16-4-7z"],
  signout: ["M10 4H5v16h5", "M14 8l4 4-4 4", "M18 12H9"],
  alert: ["M12 4l9 16H3z", "M12 10v4", "M12 17h.01"],
  check: ["M5 12l5 5 9-10"],
  theme: ["M12 4a8 8 0 1 0 8 8 6 6 0 0 1-8-8z"],
  language: [
    "M4 6h9",
    "M8.5 4v2",
    "M11 6c-.5 4-3 7-7 8",
    "M6 9c1 2.500 3 4 6 5",
    "M13 20l4-9 4 9",
    "M14.500 17h5",
  ],
  table: ["M4 5h16v14H4z", "M4 10h16", "M10 10v9"],
  chevron: ["M9 6l6 6-6 6"],
  offline: [
    "M3 4l18 16",
    "M5 10a11 11 0 0 1 4-2",
    "M13 8a11 11 0 0 1 6 2",
    "M9 14a5 5 0 0 1 3-1",
    "M12 18h.01",
  ],
};

/** For the eye only: the element that holds it carries the name. */
export function icon(name) {
  return svg(
    "svg",
    { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true", focusable: "false" },
    PATHS[name].map((d) => svg("path", { d })),
  );
}
