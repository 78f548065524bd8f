//! How snapshots come into an outbox: in one frame, or in fragments between which no other message may come; what they cost.

use super::{Outbox, Wire};
use crate::live::wire::frame::Frame;

impl<W: Wire + ?Sized> Outbox<W> {
    /// Sends a snapshot in one frame.
    pub(crate) fn snapshot(&self, frame: Frame) {
        self.put(|inner| {
            inner.charge += frame.len();
            inner.respond(frame);
        });
    }

    /// Sends a fragment of a snapshot. Until the one with `last`, only control frames come between.
    pub(crate) fn fragment(&self, frame: Frame, last: bool) {
        self.put(|inner| {
            inner.charge += frame.len();
            inner.queue.push_response(frame);
            inner.streaming = !last;
            if last {
                let after = std::mem::take(&mut inner.after_stream);
                after.into_iter().for_each(|frame| inner.queue.push_response(frame));
            }
        });
    }

    /// No message may come between from now on, until [`Outbox::fragment`] has sent the last one.
    pub(crate) fn begin_stream(&self) {
        self.change(|inner| inner.streaming = !inner.is_shut());
    }

    /// The message under way is at its end before its time: `end`, if some of it has been sent.
    pub(crate) fn end_stream(&self, end: Option<Frame>) {
        let after = self.change(|inner| {
            inner.streaming = false;
            std::mem::take(&mut inner.after_stream)
        });
        self.put(|inner| {
            let frames = end.into_iter().chain(after);
            frames.for_each(|frame| inner.queue.push_response(frame));
        });
        // The client may be read again.
        self.wake();
    }

    /// Charges the client for work that was done for it, as if so many bytes of snapshots had been sent.
    pub(crate) fn charge(&self, bytes: usize) {
        self.inner.borrow_mut().charge += bytes;
    }

    /// How many bytes of snapshots it was given since this was last asked.
    pub(crate) fn take_charge(&self) -> usize {
        std::mem::take(&mut self.inner.borrow_mut().charge)
    }
}
