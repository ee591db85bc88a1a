// What the browser itself does with the heads on the page: draw, colour, turn and sharpen them.
window.voicemesh = (() => {
  const { millimetres, woven, pour, unpick } = window.voicemeshGraphics;
  const COARSE = 1, FINE = 2; // pixels of the drawing in a pixel of the page, along a side
  const REST = 700; // ms without a movement after which a head is drawn finely again
  const PATIENCE = 30_000; // ms until results count as new though they did not change
  const NARROW = 820; // pixels of a page below which everything stands in one column
  const TOLD = "#caption, .caption, #facts, #compare-facts"; // what is read out when it changes

  const wait = (ms) => new Promise((done) => setTimeout(done, ms));
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  const still = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  const plotIn = (box) => {
    const plot = box?.querySelector(".js-plotly-plot");
    return window.Plotly && plot?._fullLayout?.scene?._scene && plot.data?.length ? plot : null;
  };
  const plotOf = async (place) => {
    for (let n = 0; n < 2400; n++) {
      const plot = plotIn(document.getElementById(place));
      if (plot) return plot;
      await wait(25);
    }
    return null;
  };

  // Where graphics are drawn by the processor, fine ones take four times as long as coarse ones.
  const slow = new WeakMap();
  const isSlow = ({ gl }) => {
    if (!slow.has(gl)) {
      const told = gl.getExtension("WEBGL_debug_renderer_info");
      const name = gl.getParameter(told ? told.UNMASKED_RENDERER_WEBGL : gl.RENDERER) || "";
      slow.set(gl, /swiftshader|llvmpipe|softpipe|software|basic render/i.test(name));
    }
    return slow.get(gl);
  };
  const timers = new WeakMap();
  const coarsen = (plot) => {
    const graphics = plot._fullLayout.scene._scene.glplot;
    clearTimeout(timers.get(plot));
    unpick(graphics);
    if (!isSlow(graphics)) return;
    graphics.pixelRatio = COARSE;
  };
  const refine = (plot, after = REST) => {
    clearTimeout(timers.get(plot));
    timers.set(plot, setTimeout(() => {
      const graphics = plot.isConnected && plot._fullLayout?.scene?._scene?.glplot;
      if (!graphics || graphics.pixelRatio >= FINE) return;
      graphics.pixelRatio = FINE;
      graphics.redraw();
    }, after));
  };

  // Done when the head is on the screen, or when that takes so long that the rest should not wait.
  const draw = async (place, head, following = []) => {
    const places = (one) => one?.traces?.[0].x.bdata;
    const same = places(latest.get(place)) === places(head); // so nothing will change
    for (const kept of document.querySelectorAll(`[data-kept="${place}"]`)) kept.show();
    await Promise.race([drawn(place, head), wait(8000)]);
    if (!same) following.forEach((one) => fade(one, PATIENCE));
  };

  // What was told of an earlier head is faint until it changes.
  const fade = (place, patience) => {
    const box = document.getElementById(place);
    if (!box || "earlier" in box.dataset) return null;
    const told = () => [...box.querySelectorAll("img")].map((one) => one.src.length) + box.innerText;
    const before = told();
    box.dataset.earlier = "";
    box.show = () => {
      watch.disconnect();
      delete box.dataset.earlier;
      delete box.dataset.kept;
    };
    const watch = new MutationObserver(() => { // an image that was stopped is still an earlier one
      if (told() !== before && !box.innerText.includes(", stopped")) box.show();
    });
    watch.observe(box, { childList: true, subtree: true, characterData: true });
    if (patience) setTimeout(box.show, patience);
    return box;
  };

  // What could not be used leaves all that stood there, faintly, until there is another head.
  const keep = (place, places) => {
    if (!latest.has(place)) return;
    for (const one of places) {
      const box = fade(one);
      if (box) box.dataset.kept = place;
    }
  };

  // Another head in the plot of the first one, whose triangles it has: a plot of its own would
  // start the graphics anew, which takes longest of all.
  const latest = new Map();
  const drawn = async (place, head) => {
    if (!head?.traces) return;
    latest.set(place, head);
    const plot = await plotOf(place);
    if (!plot || latest.get(place) !== head) return;
    const { i, j, k } = plot.data[0], { view, views } = head;
    const aside = Object.fromEntries(Object.entries(head.ranges).map(([axis, [low]]) =>
      [axis, plot.layout.scene[axis + "axis"].range[0] - low])); // all stand where the first did
    const data = head.traces.map((trace, n) => {
      const corners = trace.meta?.strips ? woven(trace.meta.strips) : { i, j, k };
      const whole = trace.type === "mesh3d" && !trace.i ? { ...trace, ...corners } : { ...trace };
      for (const axis of ["x", "y", "z"]) whole[axis] = millimetres(whole[axis], aside[axis]);
      for (const [name, values] of Object.entries(views[view]))
        if (values[n] !== null) whole[name] = values[n];
      return whole;
    });
    coarsen(plot);
    plot.layout.meta = { ...plot.layout.meta, views };
    if (!pour(plot, data)) await window.Plotly.react(plot, data, { ...plot.layout });
    await Promise.race([frame().then(frame), wait(1000)]);
    refine(plot, 4 * REST);
    const viewer = plot.closest(".viewer") ?? plot;
    const { top, bottom } = viewer.getBoundingClientRect(), { innerWidth, innerHeight } = window;
    const away = innerWidth <= NARROW && Math.abs(top) > innerHeight / 3; // as on a phone
    if (away || bottom < 0 || top > innerHeight)
      viewer.scrollIntoView({ behavior: still() ? "auto" : "smooth", block: "start" });
  };

  // The colourings travel with the figure: switching them asks nobody for anything.
  const switchView = (place, view) => {
    const plot = plotIn(document.getElementById(place)), shown = plot?.layout.meta?.views?.[view];
    if (!shown) return;
    const vertexcolor = shown.vertexcolor.map((colours) => colours ?? undefined);
    coarsen(plot);
    window.Plotly.restyle(plot, { vertexcolor, visible: shown.visible });
    refine(plot);
  };

  // Colourings that follow the head, and the one among them that was chosen meanwhile.
  const addViews = (place, views, view) => {
    const plot = plotIn(document.getElementById(place));
    if (!views || !plot?.layout.meta?.views) return;
    Object.assign(plot.layout.meta.views, views);
    if (view in views) switchView(place, view);
  };

  const arrow = (plot, key) => {
    const aside = { ArrowLeft: -1, ArrowRight: 1 }[key] || 0;
    const { eye, center } = plot._fullLayout.scene._scene.getCamera();
    const [x, y, z] = [eye.x - center.x, eye.y - center.y, eye.z - center.z];
    const flat = Math.hypot(x, y), far = Math.hypot(flat, z);
    const yaw = Math.atan2(y, x) + aside * 0.2;
    let up = Math.atan2(z, flat) + (aside ? 0 : key === "ArrowUp" ? 0.15 : -0.15);
    up = Math.max(-1.3, Math.min(1.3, up));
    const at = (value, name) => center[name] + far * value;
    window.Plotly.relayout(plot, { "scene.camera.eye": {
      x: at(Math.cos(up) * Math.cos(yaw), "x"),
      y: at(Math.cos(up) * Math.sin(yaw), "y"),
      z: at(Math.sin(up), "z"),
    } });
  };
  const face = (plot) => {
    const front = plot.layout.meta?.front;
    if (front) window.Plotly.relayout(plot, { "scene.camera": front });
  };

  // Heads can be turned without a mouse and are coarse only while they move. Tabs bring their
  // plots later, so the page listens for all of them.
  const inPlot = (act) => (event) => {
    const box = event.target.closest?.(".mesh"), plot = plotIn(box);
    if (plot) act(plot, event, box);
  };
  let held = null;
  const grasp = (plot) => coarsen(held = plot);
  const letGo = () => {
    if (held) refine(held);
    held = null;
  };
  const nudge = (plot) => { coarsen(plot); refine(plot); };
  const key = (plot, event, box) => {
    if (event.target !== box || !/^(Arrow(Up|Down|Left|Right)|Home)$/.test(event.key)) return;
    event.preventDefault();
    coarsen(plot);
    if (event.key === "Home") face(plot);
    else arrow(plot, event.key);
    refine(plot);
  };
  const options = { capture: true, passive: true };
  document.addEventListener("keydown", inPlot(key));
  document.addEventListener("pointerdown", inPlot(grasp), options);
  for (const end of ["pointerup", "pointercancel", "touchend"])
    window.addEventListener(end, letGo, options);
  window.addEventListener("blur", letGo); // of the window alone, not of what is in it
  document.addEventListener("wheel", inPlot(nudge), options);
  document.addEventListener("dblclick", inPlot((plot) => { nudge(plot); face(plot); }), options);

  // What is on the page says what it is, and what changes on it is read out.
  const attend = (places, times = 30) => {
    for (const [place, words] of Object.entries(places)) {
      const box = document.getElementById(place);
      if (!box || box.tabIndex === 0) continue;
      box.tabIndex = 0;
      box.setAttribute("role", "application");
      box.setAttribute("aria-label", words + "; the arrow keys turn it, Home shows its front");
    }
    for (const box of document.querySelectorAll(TOLD)) box.setAttribute("aria-live", "polite");
    if (times) setTimeout(attend, 100, places, times - 1); // tabs come late
  };

  return { draw, keep, switchView, addViews, attend };
})();
