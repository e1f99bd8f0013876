//! Where the news of a connection go.

use jsonrpc::{Executed, SubmitError, Text};
use serde_json::Value;

/// What became of a request, causes included.
#[derive(Clone, Debug, PartialEq)]
pub enum Settlement {
    /// The peer carried it out.
    Result(Text),
    /// The peer refused it; the error object in the dialect's shape.
    Error(Value),
    /// Its deadline passed first.
    TimedOut(Executed),
    /// The connection ended, or could not be made.
    Lost {
        /// Whether it may have taken effect.
        executed: Executed,
        /// What ended the connection.
        cause: String,
    },
    /// It was never sent.
    Rejected(SubmitError),
}

/// Receives the news, on the connection's own task. It must return soon and never block on a caller.
pub trait Sink: Send + 'static {
    /// A request is done with.
    fn settled(&mut self, id: u64, settlement: Settlement);

    /// The peer told something unasked.
    ///
    /// # Errors
    /// Why it makes no sense; the connection is then closed, for what follows would make none either.
    fn notified(&mut self, method: &str, params: &Value) -> Result<(), String>;

    /// The connection ended, or could not be made; every request under way is settled right after.
    fn disconnected(&mut self, cause: &str);

    /// No more news for now: pass on what was gathered.
    fn flush(&mut self);
}
