//! `Standing`: whether it is known who a client is.

use std::sync::Arc;
use std::time::Duration;

use super::subjects::Place;
use crate::domain::Principal;

/// Whether it is known who a client is.
#[derive(Debug)]
pub(crate) enum Standing {
    /// Nobody is asked.
    Anyone,
    /// It has to say who it is within this time, before it asks for anything.
    Awaited(Duration),
    /// It is known.
    Known(Identity),
}

/// Who a client is, with its place among the connections of its subject.
#[derive(Debug)]
pub struct Identity {
    pub(crate) principal: Arc<Principal>,
    pub(crate) _place: Place,
}
