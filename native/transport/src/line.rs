//! What callers and the task of one connection share: the session, and the socket while there is one.
//!
//! A caller whose request can leave at once sends it itself: to wake the task for it would cost more than all the rest of
//! the request. It never waits for the task, though. Whatever else a request needs, the task does: to connect, to wait until
//! the peer reads, to hear of an earlier deadline, to tell of a failure.

use std::io::{self, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use jsonrpc::{Event, Profile, Session};

use crate::Request;

/// The state behind the lock.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) session: Session,
    /// `None` unless connected.
    pub(crate) socket: Option<Arc<UnixStream>>,
    /// When the task wakes by itself; at the latest when the first deadline of the session comes.
    alarm: Option<Instant>,
}

impl State {
    /// Writes what can be written; true when nothing is left.
    pub(crate) fn write(&mut self) -> io::Result<bool> {
        let Some(mut socket) = self.socket.as_deref() else { return Ok(false) };
        loop {
            let bytes = self.session.transmit();
            if bytes.is_empty() {
                return Ok(true);
            }
            match socket.write(bytes) {
                Ok(count) => self.session.transmitted(count),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// When the task has to look at deadlines. An alarm that was set stays, even if nothing is due then: so the next
    /// request finds one that is early enough, and need not wake the task.
    pub(crate) fn set_alarm(&mut self) -> Option<Instant> {
        self.alarm = self.alarm.into_iter().chain(self.session.next_deadline()).min();
        self.alarm
    }

    pub(crate) fn clear_alarm(&mut self) {
        self.alarm = None;
    }

    fn is_watched(&self) -> bool {
        self.session.next_deadline().is_none_or(|due| self.alarm.is_some_and(|alarm| alarm <= due))
    }
}

/// See the module's introduction.
#[derive(Debug)]
pub(crate) struct Line {
    state: Mutex<State>,
    /// Commands that the task has not taken in.
    queued: AtomicUsize,
}

impl Line {
    pub(crate) fn new(profile: Profile) -> Arc<Self> {
        let state = State { session: Session::new(profile), socket: None, alarm: None };
        Arc::new(Self { state: Mutex::new(state), queued: AtomicUsize::new(0) })
    }

    /// For the task.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends requests from the caller's own thread. Those that are left, maybe none, are to be put into the queue; `None`
    /// when the task need not know.
    pub(crate) fn send(&self, requests: Vec<Request>) -> Option<Vec<Request>> {
        let Ok(mut state) = self.state.try_lock() else { return Some(requests) };
        // What is in the queue is earlier.
        if state.socket.is_none() || self.queued.load(Ordering::Acquire) > 0 {
            return Some(requests);
        }
        let refused: Vec<_> =
            requests.into_iter().filter(|request| !submit(&mut state.session, request)).collect();
        let written = state.write().is_ok_and(|all| all);
        (!refused.is_empty() || !written || !state.is_watched()).then_some(refused)
    }

    /// The socket is gone: settles what was under way.
    pub(crate) fn disconnected(&self, events: &mut Vec<Event>) {
        let mut state = self.state();
        state.socket = None;
        state.clear_alarm();
        state.session.disconnected(events);
    }

    /// A command goes into the queue.
    pub(crate) fn queue(&self) {
        self.queued.fetch_add(1, Ordering::Release);
    }

    /// So many commands were taken in.
    pub(crate) fn taken(&self, count: usize) {
        self.queued.fetch_sub(count, Ordering::Release);
    }
}

fn submit(session: &mut Session, request: &Request) -> bool {
    session.submit(request.id, &request.method, request.params.as_ref(), request.deadline).is_ok()
}
