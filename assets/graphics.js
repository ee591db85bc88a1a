// The graphics in which Plotly draws heads, reached directly: another head is other places and
// colours, for which Plotly would take all apart and put it together anew, longer than it draws.
window.voicemeshGraphics = (() => {
  const KINDS = { u1: Uint8Array, u2: Uint16Array, i4: Int32Array, f4: Float32Array };

  const bytes = (letters) => {
    const text = atob(letters), read = new Uint8Array(text.length);
    for (let n = 0; n < read.length; n++) read[n] = text.charCodeAt(n);
    return read;
  };

  // An array that came as letters; it is read once.
  const read = new WeakMap();
  const numbers = (told) => {
    if (!told.bdata) return told;
    if (!read.has(told)) read.set(told, new KINDS[told.dtype](bytes(told.bdata).buffer));
    return read.get(told);
  };

  const millimetres = ({ step, bdata }, aside) => {
    const steps = new Int16Array(bytes(bdata).buffer), places = new Float32Array(steps.length);
    for (let n = 0; n < steps.length; n++) places[n] = steps[n] * step + aside;
    return places;
  };

  // The triangles of strips, each so many rows and columns of vertices that follow each other.
  const woven = (strips) => {
    const count = ([locks, rows, columns]) => 2 * locks * (rows - 1) * (columns - 1);
    const total = strips.reduce((sum, strip) => sum + count(strip), 0);
    const [i, j, k] = [0, 1, 2].map(() => new Uint32Array(total));
    let v = 0, t = 0;
    for (const [locks, rows, columns] of strips)
      for (let lock = 0; lock < locks; lock++, v += columns)
        for (let row = 1; row < rows; row++, v += columns)
          for (let a = v; a < v + columns - 1; a++) {
            [i[t], j[t], k[t++]] = [a, a + 1, a + columns];
            [i[t], j[t], k[t++]] = [a + columns, a + 1, a + columns + 1];
          }
    return { i, j, k };
  };

  // Every corner of every triangle by itself, in the order that Plotly gives them.
  const unfolded = ({ x, y, z, i, j, k, vertexcolor }, [a, b, c]) => {
    const colours = numbers(vertexcolor), corners = [k, j, i].map(numbers);
    const count = corners[0].length;
    const places = new Float32Array(9 * count), shades = new Float32Array(12 * count);
    for (let n = 0, at = 0, on = 0; n < count; n++)
      for (const corner of corners) {
        const v = corner[n];
        places[at++] = a * x[v];
        places[at++] = b * y[v];
        places[at++] = c * z[v];
        for (let m = 3 * v; m < 3 * v + 3; m++) shades[on++] = colours[m] / 255;
        shades[on++] = 1;
      }
    return { places, shades, count };
  };

  const fill = (mesh, { places, shades, count }) => {
    mesh.trianglePositions.update(places);
    mesh.triangleColors.update(shades);
    if (mesh.triangleCount === count) return;
    mesh.triangleNormals.update(new Float32Array(9 * count).fill(1)); // no lamp shines on them
    mesh.triangleUVs.update(new Float32Array(6 * count));
    mesh.triangleIds.update(new Uint32Array(3 * count));
    mesh.triangleCount = count;
  };

  // Other heads in the meshes of those that are shown; false where something else is shown, or
  // another Plotly draws it.
  const pour = (plot, data) => {
    const { traces, dataScale, glplot } = plot._fullLayout.scene._scene, full = plot._fullData;
    const seen = data.map((_, n) => full[n]?.visible === true);
    const alike = (one, n) => one.type === full[n]?.type && (one.visible ?? true) === seen[n];
    if (data.length !== full.length || !data.every(alike)) return false;
    const shown = data.flatMap((one, n) => (seen[n] ? [[one, traces[full[n].uid]?.mesh]] : []));
    const known = ([one, mesh]) => one.vertexcolor && mesh?.triangleIds && mesh.triangleNormals
      && mesh.triangleUVs && mesh.trianglePositions && mesh.triangleColors;
    if (!shown.every(known)) return false;
    for (const [one, mesh] of shown) fill(mesh, unfolded(one, dataScale));
    plot.data = data; // what Plotly begins with when it is asked again
    data.forEach((one, n) => {
      const { x, y, z } = one;
      Object.assign(full[n], { x, y, z, _length: x.length, _input: one });
    });
    glplot.redraw();
    return true;
  };

  // Nothing is told of what is pointed at, so nothing is drawn to find out.
  const unpick = (graphics) => {
    const { objects } = graphics, last = objects[objects.length - 1];
    if (!objects.some((one) => one.pickSlots)) return;
    for (const one of objects) one.pickSlots = 0;
    graphics.remove(last);
    graphics.add(last);
  };

  return { millimetres, woven, pour, unpick };
})();
