"use strict";
// Draws Gaussian splats with WebGL2: 32 bytes each (position and scale as float32, colour and
// rotation as bytes), sorted back to front here, blended by the graphics driver.
const mfl = (() => {
  const BYTES = 32;
  const TEXELS = 3; // per splat: position and colour, covariance, rest of covariance
  const PER_ROW = 682; // 3 x 682 texels, within the 2048 that every WebGL2 offers

  const VERTEX = `#version 300 es
    precision highp float;
    precision highp usampler2D;
    uniform usampler2D splats;
    uniform mat3 rotation; // world to camera: x right, y down, z forward
    uniform vec3 center;
    uniform vec2 size;
    uniform float focal;
    uniform float near;
    in uint index;
    out vec4 colour;
    out vec2 offset;
    void main() {
      gl_Position = vec4(0.0, 0.0, 2.0, 1.0); // outside, until proven visible
      ivec2 place = ivec2(int(index) % ${PER_ROW} * ${TEXELS}, int(index) / ${PER_ROW});
      uvec4 first = texelFetch(splats, place, 0);
      vec3 point = rotation * (uintBitsToFloat(first.xyz) - center);
      if (point.z < near) return;
      colour = vec4((uvec4(first.w) >> uvec4(0, 8, 16, 24)) & 255u) / 255.0;
      if (colour.a < 1.0 / 255.0) return;
      vec4 a = uintBitsToFloat(texelFetch(splats, place + ivec2(1, 0), 0));
      vec4 b = uintBitsToFloat(texelFetch(splats, place + ivec2(2, 0), 0));
      mat3 world = mat3(a.x, a.y, a.z, a.y, a.w, b.x, a.z, b.x, b.y);
      mat3 local = rotation * world * transpose(rotation);
      vec2 limit = 0.65 * size / focal;
      vec2 slope = clamp(point.xy / point.z, -limit, limit);
      float scale = focal / point.z;
      mat3 j = mat3(scale, 0.0, 0.0, 0.0, scale, 0.0, -scale * slope.x, -scale * slope.y, 0.0);
      mat3 spread = j * local * transpose(j);
      float xx = spread[0][0] + 0.3, yy = spread[1][1] + 0.3, xy = spread[0][1];
      float mid = 0.5 * (xx + yy);
      float half_gap = length(vec2(0.5 * (xx - yy), xy));
      float large = mid + half_gap, small = max(mid - half_gap, 0.01);
      vec2 axis = half_gap < 1e-9 ? vec2(1.0, 0.0)
        : xx > yy ? normalize(vec2(half_gap + 0.5 * (xx - yy), xy))
        : normalize(vec2(xy, half_gap + 0.5 * (yy - xx)));
      float reach = sqrt(2.0 * log(255.0 * colour.a)); // where alpha falls to 1/255
      vec2 corner = vec2(gl_VertexID & 1, gl_VertexID >> 1) * 2.0 - 1.0;
      offset = corner * reach;
      vec2 pixel = 0.5 * size + focal * point.xy / point.z
        + offset.x * sqrt(large) * axis + offset.y * sqrt(small) * vec2(-axis.y, axis.x);
      gl_Position = vec4(pixel / size * vec2(2.0, -2.0) + vec2(-1.0, 1.0), 0.0, 1.0);
    }`;

  const FRAGMENT = `#version 300 es
    precision highp float;
    in vec4 colour;
    in vec2 offset;
    out vec4 result;
    void main() {
      float alpha = min(0.999, colour.a * exp(-0.5 * dot(offset, offset)));
      if (alpha < 1.0 / 255.0) discard;
      result = vec4(colour.rgb * alpha, alpha);
    }`;

  // Base64 text to splats ready for the graphics card.
  function parse(text) {
    const binary = atob(text.trim());
    const bytes = new Uint8Array(binary.length);
    for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
    const count = bytes.length / BYTES;
    const rows = Math.max(1, Math.ceil(count / PER_ROW));
    const floats = new Float32Array(bytes.buffer);
    const words = new Uint32Array(bytes.buffer);
    const texels = new Uint32Array(rows * PER_ROW * TEXELS * 4);
    const numbers = new Float32Array(texels.buffer);
    const positions = new Float32Array(3 * count);
    for (let i = 0; i < count; i++) {
      const from = 8 * i, to = 12 * i;
      for (let k = 0; k < 3; k++) positions[3 * i + k] = numbers[to + k] = floats[from + k];
      texels[to + 3] = words[from + 6];
      putCovariance(bytes, BYTES * i + 28, floats, from + 3, numbers, to + 4);
    }
    return { count, rows, texels, positions };
  }

  // Writes xx, xy, xz, yy, yz, zz, from a rotation in bytes (w first) and three scales. Numbers one
  // by one, as arrays made for each of a million splats would cost seconds.
  function putCovariance(bytes, quat, floats, scale, numbers, to) {
    let w = bytes[quat] - 128, x = bytes[quat + 1] - 128;
    let y = bytes[quat + 2] - 128, z = bytes[quat + 3] - 128;
    const length = Math.sqrt(w * w + x * x + y * y + z * z) || 1;
    w /= length; x /= length; y /= length; z /= length;
    const a = floats[scale], b = floats[scale + 1], c = floats[scale + 2];
    // Rotation times scales, row by row.
    const xa = a * (1 - 2 * (y * y + z * z)), xb = b * 2 * (x * y - w * z), xc = c * 2 * (x * z + w * y);
    const ya = a * 2 * (x * y + w * z), yb = b * (1 - 2 * (x * x + z * z)), yc = c * 2 * (y * z - w * x);
    const za = a * 2 * (x * z - w * y), zb = b * 2 * (y * z + w * x), zc = c * (1 - 2 * (x * x + y * y));
    numbers[to] = xa * xa + xb * xb + xc * xc;
    numbers[to + 1] = xa * ya + xb * yb + xc * yc;
    numbers[to + 2] = xa * za + xb * zb + xc * zc;
    numbers[to + 3] = ya * ya + yb * yb + yc * yc;
    numbers[to + 4] = ya * za + yb * zb + yc * zc;
    numbers[to + 5] = za * za + zb * zb + zc * zc;
  }

  // A camera that looks at a point; world z is up, azimuth 270 degrees is the front.
  class Orbit {
    constructor(start) {
      this.start = start;
      this.listeners = [];
      this.reset();
    }

    reset() {
      Object.assign(this, this.start, { target: [0, 0, 0] });
      this.changed();
    }

    changed() {
      for (const listener of this.listeners) listener();
    }

    turn(azimuth, elevation) {
      this.azimuth = (this.azimuth + azimuth + 360) % 360;
      this.elevation = Math.min(89, Math.max(-89, this.elevation + elevation));
      this.changed();
    }

    zoom(factor) {
      const first = this.start.distance;
      this.distance = Math.min(20 * first, Math.max(first / 20, this.distance * factor));
      this.changed();
    }

    move(right, down) {
      const { rows } = this.pose();
      for (let k = 0; k < 3; k++) this.target[k] += right * rows[0][k] + down * rows[1][k];
      this.changed();
    }

    pose() {
      const a = (this.azimuth * Math.PI) / 180, e = (this.elevation * Math.PI) / 180;
      const out = [Math.cos(e) * Math.cos(a), Math.cos(e) * Math.sin(a), Math.sin(e)];
      const right = [-Math.sin(a), Math.cos(a), 0];
      const forward = out.map((value) => -value);
      const down = [
        forward[1] * right[2] - forward[2] * right[1],
        forward[2] * right[0] - forward[0] * right[2],
        forward[0] * right[1] - forward[1] * right[0],
      ];
      const center = out.map((value, k) => this.target[k] + this.distance * value);
      return { center, rows: [right, down, forward] };
    }
  }

  // One canvas that shows one set of splats.
  class View {
    constructor(canvas, orbit, background) {
      this.canvas = canvas;
      this.orbit = orbit;
      const gl = canvas.getContext("webgl2", { alpha: false, antialias: false });
      if (!gl) throw new Error("This browser offers no WebGL2, which drawing Gaussians needs.");
      this.gl = gl;
      this.program = link(gl);
      gl.useProgram(this.program);
      this.places = {};
      for (const name of ["rotation", "center", "size", "focal", "near"]) {
        this.places[name] = gl.getUniformLocation(this.program, name);
      }
      this.order = gl.createBuffer();
      gl.bindBuffer(gl.ARRAY_BUFFER, this.order);
      const index = gl.getAttribLocation(this.program, "index");
      gl.enableVertexAttribArray(index);
      gl.vertexAttribIPointer(index, 1, gl.UNSIGNED_INT, 0, 0);
      gl.vertexAttribDivisor(index, 1);
      gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
      gl.disable(gl.DEPTH_TEST);
      gl.enable(gl.BLEND);
      gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
      gl.clearColor(background, background, background, 1);
      this.splats = { count: 0 };
      orbit.listeners.push(() => this.ask());
      new ResizeObserver(() => this.ask()).observe(canvas);
      listen(canvas, orbit);
    }

    show(splats) {
      const gl = this.gl;
      this.splats = splats;
      this.sorted = null;
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA32UI, PER_ROW * TEXELS, splats.rows, 0,
        gl.RGBA_INTEGER, gl.UNSIGNED_INT, splats.texels);
      this.ask();
    }

    // Draws once before the next refresh, however often it is asked.
    ask() {
      if (this.asked) return;
      this.asked = true;
      requestAnimationFrame(() => this.draw());
    }

    draw() {
      this.asked = false;
      const { gl, canvas, places, orbit } = this;
      const width = Math.max(1, Math.round(canvas.clientWidth * devicePixelRatio));
      const height = Math.max(1, Math.round(canvas.clientHeight * devicePixelRatio));
      if (canvas.width !== width || canvas.height !== height) {
        canvas.width = width;
        canvas.height = height;
      }
      const { center, rows } = orbit.pose();
      this.sort(rows[2]);
      gl.viewport(0, 0, width, height);
      gl.clear(gl.COLOR_BUFFER_BIT);
      // WebGL wants columns, and rows transposed are columns.
      gl.uniformMatrix3fv(places.rotation, true, rows.flat());
      gl.uniform3fv(places.center, center);
      gl.uniform2f(places.size, width, height);
      gl.uniform1f(places.focal, orbit.focalRatio * Math.min(width, height));
      gl.uniform1f(places.near, Math.min(0.2, 0.05 * orbit.distance));
      gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, this.splats.count);
    }

    // Far to near by counting: two passes over the splats, whatever their number.
    sort(forward) {
      if (this.sorted && this.sorted.every((value, k) => value === forward[k])) return;
      this.sorted = forward;
      const { count, positions } = this.splats;
      if (!count) return;
      const depths = new Float32Array(count);
      let least = Infinity, most = -Infinity;
      for (let i = 0, p = 0; i < count; i++, p += 3) {
        const depth = positions[p] * forward[0] + positions[p + 1] * forward[1]
          + positions[p + 2] * forward[2];
        depths[i] = depth;
        if (depth < least) least = depth;
        if (depth > most) most = depth;
      }
      const bins = 65536, scale = (bins - 1) / (most - least || 1);
      const starts = new Uint32Array(bins + 1);
      const bin = (i) => bins - 1 - Math.floor((depths[i] - least) * scale);
      for (let i = 0; i < count; i++) starts[bin(i) + 1]++;
      for (let b = 0; b < bins; b++) starts[b + 1] += starts[b];
      const order = new Uint32Array(count);
      for (let i = 0; i < count; i++) order[starts[bin(i)]++] = i;
      this.gl.bufferData(this.gl.ARRAY_BUFFER, order, this.gl.DYNAMIC_DRAW);
    }
  }

  function link(gl) {
    const program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) {
        throw new Error(`The graphics driver refused a shader: ${gl.getShaderInfoLog(shader)}`);
      }
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) {
      throw new Error(`The graphics driver refused the program: ${gl.getProgramInfoLog(program)}`);
    }
    return program;
  }

  // Drag turns, shift-drag or the right button moves, the wheel or two fingers zoom.
  function listen(canvas, orbit) {
    const held = new Map();
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      held.set(event.pointerId, [event.clientX, event.clientY]);
    });
    canvas.addEventListener("pointermove", (event) => {
      const last = held.get(event.pointerId);
      if (!last) return;
      const now = [event.clientX, event.clientY];
      const across = now[0] - last[0], along = now[1] - last[1];
      const other = [...held].find(([id]) => id !== event.pointerId);
      held.set(event.pointerId, now);
      if (other) {
        const gap = (point) => Math.hypot(point[0] - other[1][0], point[1] - other[1][1]) || 1;
        orbit.zoom(gap(last) / gap(now));
      } else if (event.shiftKey || event.buttons & 2) {
        const side = Math.min(canvas.clientWidth, canvas.clientHeight);
        const unit = orbit.distance / (orbit.focalRatio * side);
        orbit.move(-across * unit, -along * unit);
      } else {
        orbit.turn(-across * 0.4, along * 0.4);
      }
    });
    for (const name of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(name, (event) => held.delete(event.pointerId));
    }
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      orbit.zoom(Math.exp(Math.max(-100, Math.min(100, event.deltaY)) * 0.002));
    }, { passive: false });
    canvas.addEventListener("dblclick", () => orbit.reset());
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  // Shows what went wrong in the page instead of an empty canvas.
  function guard(action) {
    try {
      return action();
    } catch (error) {
      document.getElementById("message").textContent = error.message;
      throw error;
    }
  }

  return { Orbit, View, parse, guard };
})();
