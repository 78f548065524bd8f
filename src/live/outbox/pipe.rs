//! `Pipe`: a wire for unit tests, which takes as many bytes as it was given room for.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::rc::Rc;

use super::Wire;

/// A wire with room for so many bytes.
#[derive(Default)]
pub(crate) struct Pipe {
    pub(crate) room: Cell<usize>,
    pub(crate) taken: RefCell<Vec<u8>>,
    /// Writes that were tried.
    pub(crate) calls: Cell<usize>,
}

impl Wire for Rc<Pipe> {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.try_write_vectored(&[IoSlice::new(bytes)])
    }

    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.calls.set(self.calls.get() + 1);
        let all: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        let taken = all.len().min(self.room.get());
        if taken == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.room.set(self.room.get() - taken);
        self.taken.borrow_mut().extend_from_slice(&all[..taken]);
        Ok(taken)
    }
}
