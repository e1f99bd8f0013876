//! One conversation with a peer: what waits, what is on the wire, what became of it.
//!
//! A request passes through *waiting* (the window is full, or nothing is connected), *staged* (its
//! bytes are handed over for writing) and *sent*. Replies are matched by id in any order. A request
//! whose caller gave up keeps its place until its reply comes, so that the reply is recognised and
//! dropped and the peer's work stays bounded by the window.
//!
//! Whether the peer may have executed a request is told from the count of written bytes alone: a peer
//! cannot execute a JSON object whose last byte never left.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::time::Instant;

use serde_json::Value;

use crate::frame::{FrameError, Framer};
use crate::message::{Message, MessageError};
use crate::profile::Profile;
use crate::text::Text;

/// What is written is dropped from the outbox in pieces of this size at least: moving the rest costs time.
const OUTBOX_KEPT_BYTES: usize = 64 * 1024;

/// Whether a request without a reply may have taken effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Executed {
    /// Its last byte never left: it had no effect.
    No,
    /// It left: only looking again can tell.
    Unknown,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The peer carried it out.
    Result(Text),
    /// The peer refused it; the error object in the dialect's shape.
    Error(Value),
    /// Its deadline passed first.
    TimedOut(Executed),
    /// The connection ended first.
    Lost(Executed),
}

/// What the caller has to hear about.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A request is done with.
    Settled {
        /// Its id.
        id: u64,
        /// What became of it.
        outcome: Outcome,
    },
    /// The peer told something unasked.
    Notified {
        /// What happened.
        method: String,
        /// Its parameters.
        params: Value,
    },
}

/// A request that was not accepted: nothing of it will be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubmitError {
    /// The peer would reset the connection on reading so much.
    TooLarge {
        /// Bytes of the request.
        size_bytes: usize,
        /// Bytes that the peer reads.
        limit_bytes: usize,
    },
    /// A request with this id is still under way.
    DuplicateId(u64),
}

impl fmt::Display for SubmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { size_bytes, limit_bytes } => {
                write!(f, "the request has {size_bytes} bytes, the peer reads at most {limit_bytes}")
            }
            Self::DuplicateId(id) => write!(f, "a request with id {id} is under way"),
        }
    }
}

impl std::error::Error for SubmitError {}

/// The peer broke the protocol; the connection must be closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// The stream could not be cut into objects.
    Frame(FrameError),
    /// An object was no message.
    Message(MessageError),
    /// Every place of the window is held by a request that nobody waits for and that is not answered.
    Stuck,
    /// It asks more than it reads answers of.
    Unread,
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(error) => error.fmt(f),
            Self::Message(error) => error.fmt(f),
            Self::Stuck => write!(f, "no request of a full window was answered in time"),
            Self::Unread => write!(f, "it sends requests and does not read what was sent to it"),
        }
    }
}

impl std::error::Error for ProtocolError {}

impl From<FrameError> for ProtocolError {
    fn from(error: FrameError) -> Self {
        Self::Frame(error)
    }
}

impl From<MessageError> for ProtocolError {
    fn from(error: MessageError) -> Self {
        Self::Message(error)
    }
}

#[derive(Debug)]
struct Waiting {
    id: u64,
    bytes: Vec<u8>,
    deadline: Instant,
}

#[derive(Debug)]
struct InFlight {
    /// Position in the stream just behind its last byte.
    end: u64,
    deadline: Instant,
    /// Nobody waits for it any more.
    abandoned: bool,
}

/// The state machine. See the module's introduction.
#[derive(Debug)]
pub struct Session {
    profile: Profile,
    framer: Framer,
    waiting: VecDeque<Waiting>,
    in_flight: HashMap<u64, InFlight>,
    abandoned: usize,
    deadlines: BTreeSet<(Instant, u64)>,
    outbox: Vec<u8>,
    /// Bytes of the outbox that are already written.
    outbox_written: usize,
    /// Bytes of replies put into the outbox since it was last empty.
    replies_bytes: usize,
    /// Bytes written to this connection in all.
    written: u64,
    /// Bytes ever put into the outbox of this connection.
    staged: u64,
}

impl Session {
    /// A session of the given dialect, with nothing under way.
    #[must_use]
    pub fn new(profile: Profile) -> Self {
        Self {
            profile,
            framer: Framer::new(profile.limits),
            waiting: VecDeque::new(),
            in_flight: HashMap::new(),
            abandoned: 0,
            deadlines: BTreeSet::new(),
            outbox: Vec::new(),
            outbox_written: 0,
            replies_bytes: 0,
            written: 0,
            staged: 0,
        }
    }

    /// Accepts a request. It is sent when the window has a place for it.
    ///
    /// # Errors
    /// [`SubmitError`]; the request then leaves no trace.
    pub fn submit(
        &mut self,
        id: u64,
        method: &str,
        params: Option<&Value>,
        deadline: Instant,
    ) -> Result<(), SubmitError> {
        if self.in_flight.contains_key(&id) || self.waiting.iter().any(|request| request.id == id) {
            return Err(SubmitError::DuplicateId(id));
        }
        let bytes = self.profile.request(id, method, params);
        let (size_bytes, limit_bytes) = (bytes.len(), self.profile.max_request_bytes);
        if size_bytes > limit_bytes {
            return Err(SubmitError::TooLarge { size_bytes, limit_bytes });
        }
        self.deadlines.insert((deadline, id));
        self.waiting.push_back(Waiting { id, bytes, deadline });
        Ok(())
    }

    /// The caller gave up on a request: it is not sent if that is still possible, its reply is dropped if not.
    /// No event follows.
    pub fn forget(&mut self, id: u64) {
        if let Some(at) = self.waiting.iter().position(|request| request.id == id) {
            if let Some(request) = self.waiting.remove(at) {
                self.deadlines.remove(&(request.deadline, id));
            }
        } else {
            self.abandon(id);
        }
    }

    /// Whether any request waits for a connection or a place in the window.
    #[must_use]
    pub fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Everything that may be written now, as one piece. Empty when there is nothing.
    pub fn transmit(&mut self) -> &[u8] {
        self.admit();
        &self.outbox[self.outbox_written..]
    }

    /// Tells that the first `count` bytes of [`Session::transmit`] were written.
    pub fn transmitted(&mut self, count: usize) {
        self.outbox_written += count;
        self.written += count as u64;
        if self.outbox_written == self.outbox.len() || self.outbox_written >= OUTBOX_KEPT_BYTES {
            self.outbox.drain(..self.outbox_written);
            self.outbox_written = 0;
        }
        if self.outbox.is_empty() {
            self.replies_bytes = 0;
        }
    }

    /// Takes in bytes of the peer and appends what they mean to `events`.
    ///
    /// # Errors
    /// [`ProtocolError`]: close the connection, then call [`Session::disconnected`].
    pub fn receive(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<(), ProtocolError> {
        self.framer.push(bytes);
        while let Some(frame) = self.framer.next_frame()? {
            match Message::parse(frame)? {
                Message::Reply { id, outcome } => events.extend(self.settle(id, outcome)),
                Message::Notification { method, params } => events.push(Event::Notified { method, params }),
                Message::Request { id, method, params } => {
                    let reply = self.profile.reply(&id, &method, &params);
                    self.replies_bytes += reply.len();
                    if self.replies_bytes > self.profile.window.max_unsent_bytes {
                        return Err(ProtocolError::Unread);
                    }
                    self.stage(&reply);
                }
            }
        }
        Ok(())
    }

    /// When [`Session::expire`] has to be called next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Settles every request whose deadline has come.
    ///
    /// # Errors
    /// [`ProtocolError::Stuck`] when the peer has answered nothing of a whole window in time.
    pub fn expire(&mut self, now: Instant, events: &mut Vec<Event>) -> Result<(), ProtocolError> {
        while let Some(&(deadline, id)) = self.deadlines.first().filter(|(deadline, _)| *deadline <= now) {
            let executed = if let Some(at) = self.waiting.iter().position(|request| request.id == id) {
                self.waiting.remove(at);
                self.deadlines.remove(&(deadline, id));
                Executed::No
            } else {
                self.abandon(id);
                Executed::Unknown
            };
            events.push(Event::Settled { id, outcome: Outcome::TimedOut(executed) });
        }
        self.check_window()
    }

    /// Looks whether the window can take anything again: to be called after requests were forgotten.
    ///
    /// # Errors
    /// [`ProtocolError::Stuck`] when every place is held by a request that nobody waits for.
    pub fn check_window(&self) -> Result<(), ProtocolError> {
        if self.abandoned >= self.profile.window.max_requests {
            return Err(ProtocolError::Stuck);
        }
        Ok(())
    }

    /// The connection is gone, or could not be made: everything under way is settled, and the session is
    /// ready for the next connection. Nothing is kept for it: what was planned before must be looked at again.
    pub fn disconnected(&mut self, events: &mut Vec<Event>) {
        let unsent = self.waiting.drain(..).map(|request| (request.id, Executed::No));
        let sent = self.in_flight.drain().filter(|(_, request)| !request.abandoned).map(|(id, request)| {
            let executed = if request.end <= self.written { Executed::Unknown } else { Executed::No };
            (id, executed)
        });
        events.extend(
            sent.chain(unsent).map(|(id, executed)| Event::Settled { id, outcome: Outcome::Lost(executed) }),
        );
        *self = Self::new(self.profile);
    }

    /// Moves requests into the outbox while the window allows.
    fn admit(&mut self) {
        let window = self.profile.window;
        while let Some(next) = self.waiting.front() {
            let unsent = self.outbox.len() - self.outbox_written;
            let fits = unsent == 0 || unsent + next.bytes.len() <= window.max_unsent_bytes;
            if self.in_flight.len() >= window.max_requests || !fits {
                return;
            }
            let Some(request) = self.waiting.pop_front() else { return };
            self.stage(&request.bytes);
            let entry = InFlight { end: self.staged, deadline: request.deadline, abandoned: false };
            self.in_flight.insert(request.id, entry);
        }
    }

    fn stage(&mut self, bytes: &[u8]) {
        self.outbox.extend_from_slice(bytes);
        self.staged += bytes.len() as u64;
    }

    fn settle(&mut self, id: u64, outcome: Result<Text, Value>) -> Option<Event> {
        let request = self.in_flight.remove(&id)?;
        if request.abandoned {
            self.abandoned -= 1;
            return None;
        }
        self.deadlines.remove(&(request.deadline, id));
        let outcome = match outcome {
            Ok(result) => Outcome::Result(result),
            Err(error) => Outcome::Error(error),
        };
        Some(Event::Settled { id, outcome })
    }

    fn abandon(&mut self, id: u64) {
        if let Some(request) = self.in_flight.get_mut(&id) {
            if !request.abandoned {
                request.abandoned = true;
                self.abandoned += 1;
                self.deadlines.remove(&(request.deadline, id));
            }
        }
    }
}
