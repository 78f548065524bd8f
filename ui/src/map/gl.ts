// WebGL2 helpers: a program with its uniforms by name.

export interface Program {
  readonly program: WebGLProgram;
  /** The place of a uniform; null, which WebGL ignores, if the shader does not use it. */
  uniform(name: string): WebGLUniformLocation | null;
}

/** Compiles and links. Throws with the log of the driver; not while the context is lost, as then everything fails. */
export function link(gl: WebGL2RenderingContext, vertex: string, fragment: string): Program {
  const program = gl.createProgram();
  for (const [type, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]] as const) {
    const shader = gl.createShader(type);
    if (!shader) break;
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS) && !gl.isContextLost()) throw new Error(gl.getShaderInfoLog(shader) ?? "shader");
    gl.deleteShader(shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) throw new Error(gl.getProgramInfoLog(program) ?? "program");
  const places = new Map<string, WebGLUniformLocation | null>();
  return {
    program,
    uniform(name) {
      let place = places.get(name);
      if (place === undefined) places.set(name, (place = gl.getUniformLocation(program, name)));
      return place;
    },
  };
}
