// Speeds: the fastest of the last ten to twenty seconds.

const SPAN = 10_000;

export class Speeds {
  /** The fastest of this span and of the one before, and when this one began, ms. */
  #now = 0;
  #before = 0;
  #since = 0;

  note(speed: number, time: number): void {
    this.#turn(time);
    this.#now = Math.max(this.#now, speed);
  }

  /** Nothing that was noted lately is faster. */
  fastest(time: number): number {
    this.#turn(time);
    return Math.max(this.#now, this.#before);
  }

  #turn(time: number): void {
    const age = time - this.#since;
    if (age < SPAN) return;
    this.#before = age < 2 * SPAN ? this.#now : 0;
    this.#now = 0;
    this.#since = time;
  }
}
