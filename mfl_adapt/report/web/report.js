const views = mfl.guard(() => {
  const orbit = new mfl.Orbit(settings.camera);
  const stage = document.getElementById("stage");
  const shown = [...document.querySelectorAll("script.splats")].map((data) => {
    const figure = document.createElement("figure");
    const canvas = figure.appendChild(document.createElement("canvas"));
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", data.dataset.caption);
    figure.appendChild(document.createElement("figcaption")).textContent = data.dataset.caption;
    stage.appendChild(figure);
    // Without Ctrl the wheel scrolls the page, and the canvas never hears of it.
    figure.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) event.stopPropagation();
    }, true);
    const view = new mfl.View(canvas, orbit, settings.background);
    view.show(mfl.parse(data.textContent));
    return view;
  });
  for (const button of document.querySelectorAll("button[data-turn]")) {
    button.addEventListener("click", () => {
      if (!button.dataset.turn) return orbit.reset();
      const [azimuth, elevation, factor] = button.dataset.turn.split(",").map(Number);
      orbit.turn(azimuth, elevation);
      orbit.zoom(factor);
    });
  }
  return shown;
});
