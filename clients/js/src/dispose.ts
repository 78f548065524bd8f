// `Symbol.dispose`, also where there is none yet.

/** Compilers that know `using` look for this one where the runtime has no `Symbol.dispose`. */
export const dispose: typeof Symbol.dispose = Symbol.dispose ?? Symbol.for("Symbol.dispose");
