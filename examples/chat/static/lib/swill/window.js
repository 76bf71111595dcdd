/** Credit: how many MESSAGEs each side of one request may still send. */
export class Window {
    constructor(size) {
        this.size = size;
        this.taken = 0;
        this.outgoing = size;
    }
    /** One MESSAGE is to be sent; returns whether it may. */
    spend() {
        if (this.outgoing <= 0)
            return false;
        this.outgoing -= 1;
        return true;
    }
    /** The server gave credit. */
    granted(credit) {
        if (typeof credit === "number")
            this.outgoing += credit;
    }
    /** An item was taken; returns the credit to give now, mostly 0. */
    itemTaken() {
        this.taken += 1;
        if (this.taken * 2 < this.size)
            return 0;
        const grant = this.taken;
        this.taken = 0;
        return grant;
    }
}
