"""A surface and its cross-sections as one HTML page that needs nothing beside it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from sciml.shapes.slices import Slices

COLOURS = ("#4c78a8", "#f58518", "#54a24b", "#e45756", "#72b7b2", "#b279a2", "#9d755d", "#eeca3b")

PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
html, body { margin: 0; height: 100%; overflow: hidden; background: #fafafa; font: 14px/1.4 system-ui, sans-serif; }
canvas { width: 100%; height: 100%; display: block; cursor: grab; touch-action: none; }
form { position: fixed; top: .75rem; left: .75rem; background: #fffc; padding: .5rem .75rem; border-radius: .4rem; }
label { display: block; } p { margin: .25rem 0 0; color: #666; font-size: 12px; }
</style>
</head>
<body>
<canvas></canvas>
<form></form>
<script>
"use strict";
const parts = $parts;
const canvas = document.querySelector("canvas"), form = document.querySelector("form");
const gl = canvas.getContext("webgl2");
const decode = (text, Kind) => new Kind(Uint8Array.from(atob(text), c => c.charCodeAt(0)).buffer);
const state = {turn: 0.6, tilt: 0.4, zoom: 1};

function start() {
  const program = gl.createProgram();
  const sources = [[gl.VERTEX_SHADER, `#version 300 es
    in vec3 place; uniform mat3 rotation; uniform vec2 scale; uniform float lift; out vec3 seen;
    void main() { seen = rotation * place; gl_Position = vec4(seen.xy * scale, -0.5 * seen.z - lift, 1.0); }`],
  [gl.FRAGMENT_SHADER, `#version 300 es
    precision highp float; in vec3 seen; uniform vec4 colour; uniform bool lit; out vec4 pixel;
    void main() {
      float light = 1.0;
      if (lit) light = 0.35 + 0.65 * abs(normalize(cross(dFdx(seen), dFdy(seen))).z);
      pixel = vec4(colour.rgb * light, colour.a);
    }`]];
  for (const [kind, source] of sources) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source); gl.compileShader(shader); gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
  gl.useProgram(program);
  const uniform = name => gl.getUniformLocation(program, name);
  for (const part of parts) {
    part.array = gl.createVertexArray(); gl.bindVertexArray(part.array);
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ARRAY_BUFFER, decode(part.places, Float32Array), gl.STATIC_DRAW);
    const place = gl.getAttribLocation(program, "place");
    gl.enableVertexAttribArray(place); gl.vertexAttribPointer(place, 3, gl.FLOAT, false, 0, 0);
    const index = decode(part.index, Uint32Array); part.count = index.length;
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, index, gl.STATIC_DRAW);
  }
  gl.enable(gl.DEPTH_TEST); gl.clearColor(0.98, 0.98, 0.98, 1);

  function draw() {
    const ratio = window.devicePixelRatio || 1;
    canvas.width = canvas.clientWidth * ratio; canvas.height = canvas.clientHeight * ratio;
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    const [c, s, k, t] = [Math.cos(state.turn), Math.sin(state.turn), Math.cos(state.tilt), Math.sin(state.tilt)];
    gl.uniformMatrix3fv(uniform("rotation"), false, [c, -s * t, s * k, s, c * t, -c * k, 0, k, t]);
    const least = Math.min(canvas.width, canvas.height) * state.zoom;
    gl.uniform2f(uniform("scale"), least / canvas.width, least / canvas.height);
    for (const part of parts) {
      if (!part.box.checked) continue;
      gl.bindVertexArray(part.array);
      gl.uniform4fv(uniform("colour"), part.colour);
      gl.uniform1i(uniform("lit"), part.kind === "surface");
      gl.uniform1f(uniform("lift"), part.kind === "surface" ? 0 : 0.002);
      gl.drawElements(part.kind === "surface" ? gl.TRIANGLES : gl.LINES, part.count, gl.UNSIGNED_INT, 0);
    }
  }
  let from = null;
  canvas.onpointerdown = event => { from = event; canvas.setPointerCapture(event.pointerId); };
  canvas.onpointerup = () => { from = null; };
  canvas.onpointermove = event => {
    if (!from) return;
    state.turn += 0.008 * (event.clientX - from.clientX);
    state.tilt = Math.max(-1.57, Math.min(1.57, state.tilt + 0.008 * (event.clientY - from.clientY)));
    from = event; draw();
  };
  canvas.onwheel = event => { event.preventDefault(); state.zoom *= Math.exp(-0.001 * event.deltaY); draw(); };
  window.onresize = draw; form.onchange = draw;
  draw();
}

for (const part of parts) {
  const label = document.createElement("label");
  part.box = document.createElement("input");
  part.box.type = "checkbox"; part.box.checked = true;
  label.append(part.box, " " + part.name);
  form.append(label);
}
const hint = document.createElement("p");
hint.textContent = gl ? "drag to turn, wheel to zoom" : "this browser has no WebGL 2";
form.append(hint);
if (gl) start();
</script>
</body>
</html>
""")


def write_viewer(path: str | Path, slices: Slices, meshes: Mapping[str, Any], title: str = "shape") -> None:
    """Write the page; ``meshes`` by name are drawn in the colours of the labels of ``slices`` in order."""
    low, high = slices.bounds
    centre, scale = (low + high) / 2, float(np.linalg.norm(high - low)) / 2

    def part(name: str, kind: str, colour: str, vertices: np.ndarray, index: np.ndarray) -> dict[str, Any]:
        places = (vertices - centre) / scale
        red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
        return {
            "name": name,
            "kind": kind,
            "colour": [red, green, blue, 1.0],
            "places": _encode(places.astype("<f4")),
            "index": _encode(index.astype("<u4")),
        }

    parts = [
        part(name, "surface", COLOURS[k % len(COLOURS)], np.asarray(mesh.vertices), np.asarray(mesh.faces))
        for k, (name, mesh) in enumerate(meshes.items())
    ]
    loops = [contour.vertices for plane in slices.planes for contour in plane.contours]
    sizes = np.array([len(loop) for loop in loops])
    first = np.repeat(sizes.cumsum() - sizes, sizes)
    number = np.arange(sizes.sum())
    following = first + (number - first + 1) % np.repeat(sizes, sizes)
    lines = np.stack([number, following], axis=1)
    parts.append(part(f"{len(slices)} planes", "lines", "#222222", np.concatenate(loops), lines))
    # "<" must not end the script, whatever a label is called
    text = json.dumps(parts).replace("<", "\\u003c")
    Path(path).write_text(PAGE.substitute(title=escape(title), parts=text), encoding="utf-8")


def _encode(values: np.ndarray) -> str:
    return base64.b64encode(values.tobytes()).decode()
