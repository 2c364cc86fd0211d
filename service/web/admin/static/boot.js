/* Before the first paint: the theme that was chosen here, if one was. Only preferences are kept in this
 * browser. */
(function () {
  "use strict";
  try {
    var theme = localStorage.getItem("mgw.theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // Storage is closed to this page: the system's theme holds.
  }
})();
