/** Credit: how many MESSAGEs each side of one request may still send. */
export class Window {
  private outgoing: number;
  private taken = 0;

  constructor(readonly size: number) {
    this.outgoing = size;
  }

  /** One MESSAGE is to be sent; returns whether it may. */
  spend(): boolean {
    if (this.outgoing <= 0) return false;
    this.outgoing -= 1;
    return true;
  }

  /** The server gave credit. */
  granted(credit: unknown): void {
    if (typeof credit === "number") this.outgoing += credit;
  }

  /** An item was taken; returns the credit to give now, mostly 0. */
  itemTaken(): number {
    this.taken += 1;
    if (this.taken * 2 < this.size) return 0;
    const grant = this.taken;
    this.taken = 0;
    return grant;
  }
}
