// PickGrid: which device is nearest to a point of the view. Pixels are never read back: that stalls the graphics card.

/** Width of a cell, CSS pixels: about as far as one looks around the pointer. */
const CELL = 32;

/** Points in cells. Built at one go, as most of them move. */
export class PickGrid {
  #columns = 0;
  #rows = 0;
  /** Where the members of each cell begin in `#members`. */
  #starts = new Uint32Array(1);
  #members = new Uint32Array(0);
  #xs = new Float32Array(0);
  #ys = new Float32Array(0);
  /** How far from each other points are on average, where there are any, CSS pixels; `Infinity`: there are none. */
  apart = Infinity;

  /**
   * Sorts points of a view into cells. `place` gives the place of number 0 to `count`, or undefined where there is none.
   * Points farther than a cell outside of the view are left out.
   */
  build(width: number, height: number, count: number, place: (index: number) => { readonly x: number; readonly y: number } | undefined): void {
    this.#columns = Math.ceil(width / CELL) + 2;
    this.#rows = Math.ceil(height / CELL) + 2;
    if (this.#xs.length < count) {
      this.#xs = new Float32Array(count * 2);
      this.#ys = new Float32Array(count * 2);
      this.#members = new Uint32Array(count * 2);
    }
    const cells = new Int32Array(count), starts = new Uint32Array(this.#columns * this.#rows + 1);
    for (let index = 0; index < count; index++) {
      const point = place(index);
      const cell = point === undefined ? -1 : this.#cell(point.x, point.y);
      cells[index] = cell;
      if (point === undefined || cell < 0) continue;
      this.#xs[index] = point.x;
      this.#ys[index] = point.y;
      starts[cell + 1]!++;
    }
    let used = 0;
    for (let cell = 1; cell < starts.length; cell++) {
      if (starts[cell]! > 0) used++;
      starts[cell]! += starts[cell - 1]!;
    }
    const placed = starts.at(-1)!;
    this.apart = placed === 0 ? Infinity : CELL * Math.sqrt(used / placed);
    const next = starts.slice();
    for (let index = 0; index < count; index++) {
      const cell = cells[index]!;
      if (cell >= 0) this.#members[next[cell]!++] = index;
    }
    this.#starts = starts;
  }

  #cell(x: number, y: number): number {
    const column = Math.floor(x / CELL) + 1, row = Math.floor(y / CELL) + 1;
    return column >= 0 && row >= 0 && column < this.#columns && row < this.#rows ? row * this.#columns + column : -1;
  }

  /**
   * The point nearest to a place, within `radius`. `place` gives where a point is now, if that may have changed since the
   * grid was built, by at most `moved`.
   */
  nearest(x: number, y: number, radius: number, moved = 0, place?: (index: number) => { readonly x: number; readonly y: number } | undefined): number | undefined {
    let best: number | undefined, least = radius * radius;
    const reach = radius + moved;
    const [left, right] = this.#span(x, reach, this.#columns), [top, bottom] = this.#span(y, reach, this.#rows);
    for (let row = top; row <= bottom; row++) {
      const first = this.#starts[row * this.#columns + left] ?? 0, end = this.#starts[row * this.#columns + right + 1] ?? 0;
      for (let member = first; member < end; member++) {
        const index = this.#members[member]!;
        const now = place ? place(index) : { x: this.#xs[index]!, y: this.#ys[index]! };
        if (now === undefined) continue;
        const distance = (now.x - x) ** 2 + (now.y - y) ** 2;
        if (distance > least || (distance === least && best !== undefined)) continue;
        least = distance;
        best = index;
      }
    }
    return best;
  }

  #span(at: number, reach: number, cells: number): [first: number, last: number] {
    const clamp = (cell: number) => Math.min(Math.max(cell, 0), cells - 1);
    return [clamp(Math.floor((at - reach) / CELL) + 1), clamp(Math.floor((at + reach) / CELL) + 1)];
  }
}
