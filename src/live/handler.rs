//! What is done with clients and their messages: the trait, and the two handlers that come with the library.

mod gate;
mod message_handler;
mod scaffold;
mod subscriptions;

pub use self::gate::{Authority, Gate, Identified};
pub use self::message_handler::{Admitted, Decision, Denied, Handled, Message, MessageHandler};
pub use self::scaffold::ScaffoldHandler;
pub use self::subscriptions::SubscriptionHandler;
