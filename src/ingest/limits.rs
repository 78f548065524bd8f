//! `PostLimits`: how many posts may be under way, and how many bytes of their bodies may be held.

use std::cell::Cell;
use std::rc::Rc;

/// Most bytes of bodies that are held at the same time, unless one alone may have more.
const BODIES_BYTES: usize = 64 << 20;

/// Counts the posts of one server, on the thread that serves them.
pub struct PostLimits {
    max_posts: usize,
    max_bytes: usize,
    posts: Cell<usize>,
    bytes: Cell<usize>,
}

/// The right of one post to be under way, and what its body holds; given back when dropped.
pub(super) struct Permit {
    limits: Rc<PostLimits>,
    bytes: usize,
}

impl PostLimits {
    /// At most `max_posts` at the same time, with bodies of at most `max_body_bytes` each.
    pub fn new(max_posts: usize, max_body_bytes: usize) -> Rc<Self> {
        let max_bytes = BODIES_BYTES.max(max_body_bytes);
        Rc::new(Self { max_posts, max_bytes, posts: Cell::new(0), bytes: Cell::new(0) })
    }

    /// A permit for a post, unless too many are under way.
    pub(super) fn admit(self: &Rc<Self>) -> Option<Permit> {
        let posts = self.posts.get();
        if posts >= self.max_posts {
            return None;
        }
        self.posts.set(posts + 1);
        Some(Permit { limits: self.clone(), bytes: 0 })
    }
}

impl Permit {
    /// Counts bytes of its body. False if all bodies together would hold too many.
    pub(super) fn grow(&mut self, count: usize) -> bool {
        let total = self.limits.bytes.get() + count;
        if total > self.limits.max_bytes {
            return false;
        }
        self.limits.bytes.set(total);
        self.bytes += count;
        true
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.limits.posts.set(self.limits.posts.get() - 1);
        self.limits.bytes.set(self.limits.bytes.get() - self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permit_is_given_back_when_its_post_ends() {
        let limits = PostLimits::new(6, 1);
        let permits: Vec<_> = (0..6).map(|_| limits.admit().unwrap()).collect();
        assert!(limits.admit().is_none());
        drop(permits);
        assert!(limits.admit().is_some());
    }

    #[test]
    fn bodies_are_bounded_together_but_one_of_allowed_length_fits() {
        let limits = PostLimits::new(8, BODIES_BYTES + 10);
        let (mut one, mut other) = (limits.admit().unwrap(), limits.admit().unwrap());
        assert!(one.grow(BODIES_BYTES) && one.grow(10));
        assert!(!other.grow(1));
        drop(one);
        assert!(other.grow(1));
    }
}
