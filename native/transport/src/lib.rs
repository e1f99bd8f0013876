//! Carries a JSON-RPC [`jsonrpc::Session`] over one persistent Unix socket.
//!
//! One task owns the socket, connects when there is something to send, writes what callers could not write themselves,
//! and always drains what the peer sends. What is ready together leaves in one piece. Callers hand over requests through [`Connection`] and
//! hear of their fate through a [`Sink`]; neither side ever blocks the other. Nothing is sent again on its
//! own: whoever planned a request has to look again after a lost connection.

#![forbid(unsafe_code)]

mod actor;
mod backoff;
mod line;
mod sink;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use jsonrpc::Profile;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use line::Line;
pub use sink::{Settlement, Sink};

/// One request, ready to be sent.
#[derive(Clone, Debug)]
pub struct Request {
    /// Unique among the requests under way.
    pub id: u64,
    /// The method called.
    pub method: String,
    /// Its parameters; `None` for a method that takes none.
    pub params: Option<Value>,
    /// When the caller stops waiting, connecting included.
    pub deadline: Instant,
}

#[derive(Debug)]
enum Command {
    Submit(Vec<Request>),
    Forget(u64),
}

/// The near end of one connection. When it is dropped the socket is closed.
#[derive(Debug)]
pub struct Connection {
    commands: mpsc::UnboundedSender<Command>,
    line: Arc<Line>,
}

impl Connection {
    /// Starts the task that owns the connection to the socket at `path`. It connects with the first request.
    pub fn spawn(runtime: &Handle, path: PathBuf, profile: Profile, sink: impl Sink) -> Self {
        let (commands, inbox) = mpsc::unbounded_channel();
        let line = Line::new(profile);
        runtime.spawn(actor::Actor::new(path, Arc::clone(&line), sink, inbox).run());
        Self { commands, line }
    }

    /// Sends requests that are ready together; they leave in one piece. The sink hears of each exactly once,
    /// unless it is forgotten first. False when the runtime is gone: then nothing is sent, nothing is heard.
    #[must_use]
    pub fn submit(&self, requests: Vec<Request>) -> bool {
        self.line.send(requests).is_none_or(|left| self.tell(Command::Submit(left)))
    }

    /// The caller waits no longer: the sink will not hear of this request unless it is on its way already.
    pub fn forget(&self, id: u64) {
        // A task that is gone has forgotten everything.
        let _ = self.tell(Command::Forget(id));
    }

    fn tell(&self, command: Command) -> bool {
        self.line.queue();
        self.commands.send(command).is_ok()
    }
}
