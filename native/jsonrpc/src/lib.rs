//! JSON-RPC over a byte stream, as a state machine that does no I/O and reads no clock.
//!
//! The caller feeds it bytes that arrived, requests to send and the current time; it answers with
//! bytes to write and with what became of each request. Sockets, threads and Python are the business
//! of the crates above (`transport`, the binding); what a method or an error code *means* is that of
//! the dialects (`spdk`, `ovsdb`).
//!
//! * [`frame`] cuts the stream into JSON objects, within limits of depth and size.
//! * [`message`] tells replies, requests and notifications apart.
//! * [`session`] matches replies to requests, bounds what is in flight, and keeps deadlines.
//! * [`profile`] holds what differs between one dialect and another, as data.

#![forbid(unsafe_code)]

pub mod frame;
pub mod message;
pub mod profile;
pub mod session;
pub mod text;

pub use frame::{FrameError, Framer, Limits};
pub use message::{Message, MessageError};
pub use profile::{Profile, Version, Window};
pub use session::{Event, Executed, Outcome, ProtocolError, Session, SubmitError};
pub use text::Text;
